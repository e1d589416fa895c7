"""Land cover of the made ground, as ESA WorldCover publishes it: 3 degree tiles in EPSG:4326, 1/12000 degree pixels."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.io import MemoryFile
from rasterio.transform import from_origin
from rasterio.warp import Resampling, reproject

from agri_assets.samples.covers import WORLDCOVER_NODATA
from agri_assets.samples.tiles import PIXEL_M, Window

PER_DEGREE = 12_000
"""Pixels per degree of WorldCover."""
MACROTILE_DEG = 3
"""Side of a WorldCover tile."""
MARGIN_PX = 48
"""Ground pixels covered beyond each window, so that resampling at its edge finds land."""
COLOURS = {
    0: (0, 0, 0, 0), 10: (0, 100, 0, 255), 20: (255, 187, 34, 255), 30: (255, 255, 76, 255),
    40: (240, 150, 255, 255), 50: (250, 0, 0, 255), 60: (180, 180, 180, 255), 80: (0, 100, 200, 255),
    90: (0, 150, 160, 255),
}  # fmt: skip
"""Colour table of the real product for the codes that occur here."""


@dataclass(frozen=True)
class TruthMap:
    """Land-cover codes on the ground grid of one window, widened by the margin.

    Attributes:
        window: The window.
        codes: Codes, uint8, `window.whole + 2 * MARGIN_PX` square.
    """

    window: Window
    codes: NDArray[np.uint8]


@dataclass(frozen=True)
class Sheet:
    """The part of one WorldCover tile that is written.

    Attributes:
        west: Western edge of the 3 degree tile, degrees.
        south: Its southern edge, degrees.
        left: First column written, in pixels from `west`.
        top: First row written, in pixels from the northern edge.
        width: Columns.
        height: Rows.
    """

    west: int
    south: int
    left: int
    top: int
    width: int
    height: int

    @property
    def name(self) -> str:
        """File name of the real tile."""
        lat = f"{'S' if self.south < 0 else 'N'}{abs(self.south):02d}"
        lon = f"{'W' if self.west < 0 else 'E'}{abs(self.west):03d}"
        return f"ESA_WorldCover_10m_2021_v200_{lat}{lon}_Map.tif"


def plan_sheets(windows: Sequence[Window]) -> list[Sheet]:
    """The parts of WorldCover tiles that the windows touch, whole pixels of its global grid."""
    sheets: dict[tuple[int, int], list[int]] = {}
    for window in windows:
        edge = window.corners(MARGIN_PX * PIXEL_M)
        west, east = _span([lon for lon, _ in edge])
        south, north = min(lat for _, lat in edge), max(lat for _, lat in edge)
        for macro_west, macro_south in _macrotiles(west, south, east, north):
            top_edge = macro_south + MACROTILE_DEG
            box = [
                max(math.floor((west - macro_west) * PER_DEGREE), 0),
                max(math.floor((top_edge - north) * PER_DEGREE), 0),
                min(math.ceil((east - macro_west) * PER_DEGREE), MACROTILE_DEG * PER_DEGREE),
                min(math.ceil((top_edge - south) * PER_DEGREE), MACROTILE_DEG * PER_DEGREE),
            ]
            # east of 180 degrees the columns go on from -180
            known = sheets.setdefault(((macro_west + 180) % 360 - 180, macro_south), box)
            known[:] = [min(known[0], box[0]), min(known[1], box[1]), max(known[2], box[2]), max(known[3], box[3])]
    return [
        Sheet(west, south, left, top, right - left, bottom - top)
        for (west, south), (left, top, right, bottom) in sorted(sheets.items())
    ]


def _span(longitudes: Sequence[float]) -> tuple[float, float]:
    """The least and greatest longitude of a small window; beyond 180 degrees where it lies across the antimeridian."""
    if max(longitudes) - min(longitudes) > 180:
        longitudes = [lon + 360 if lon < 0 else lon for lon in longitudes]
    return min(longitudes), max(longitudes)


def _macrotiles(west: float, south: float, east: float, north: float) -> Iterator[tuple[int, int]]:
    """South-western corners of the 3 degree tiles that a box touches."""
    side = MACROTILE_DEG
    for lat in range(math.floor(south / side) * side, math.ceil(north / side) * side, side):
        for lon in range(math.floor(west / side) * side, math.ceil(east / side) * side, side):
            yield lon, lat


def write_sheet(path: Path, sheet: Sheet, truths: Sequence[TruthMap]) -> None:
    """Write one sheet as a cloud-optimised GeoTIFF; ground that no map covers is 0, no data."""
    codes = np.zeros((sheet.height, sheet.width), np.uint8)
    transform = from_origin(
        sheet.west + sheet.left / PER_DEGREE,
        sheet.south + MACROTILE_DEG - sheet.top / PER_DEGREE,
        1 / PER_DEGREE,
        1 / PER_DEGREE,
    )
    for truth in truths:
        _lay(codes, transform, truth)
    options = {
        "driver": "GTiff", "width": sheet.width, "height": sheet.height, "count": 1, "dtype": "uint8",
        "crs": "EPSG:4326", "transform": transform, "nodata": WORLDCOVER_NODATA,
    }  # fmt: skip
    with MemoryFile() as memory:
        with memory.open(**options) as plain:
            plain.write_colormap(1, COLOURS)
            plain.write(codes, 1)
        with memory.open() as plain:
            rasterio.shutil.copy(
                plain, path, driver="COG", compress="DEFLATE", blocksize=1024, overview_resampling="NEAREST"
            )


def _lay(codes: NDArray[np.uint8], transform: rasterio.Affine, truth: TruthMap) -> None:
    """Put a truth map into a sheet, nearest pixel, leaving what it does not cover."""
    window, margin = truth.window, MARGIN_PX * PIXEL_M
    reproject(
        truth.codes,
        codes,
        src_transform=from_origin(window.ulx - margin, window.uly + margin, PIXEL_M, PIXEL_M),
        src_crs=f"EPSG:{window.tile.epsg}",
        dst_transform=transform,
        dst_crs="EPSG:4326",
        src_nodata=WORLDCOVER_NODATA,
        dst_nodata=WORLDCOVER_NODATA,
        init_dest_nodata=False,
        resampling=Resampling.nearest,
    )
