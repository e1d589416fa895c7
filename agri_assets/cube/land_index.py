"""The rows of the tile index for scenes: what was counted per slot, joined with land cover and the ground."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import rasterio
from rasterio.errors import RasterioError

from agri_assets.cube.index import arrange
from agri_assets.cube.positions import count, ground
from agri_assets.cube.schema import SHARD_PIXELS, CubeInfo
from agri_assets.errors import CubeError
from agri_assets.labels.settings import LandLabels
from agri_assets.labels.worldcover import NAMES, NODATA
from agri_assets.scenes.grid import TileGrid, tile_id


@dataclass(frozen=True)
class LandShares:
    """Land cover of every position, row by row.

    Attributes:
        cropland: Share of agricultural pixels among those with land cover; NaN where there are none.
        majority: The commonest class's name, None where there is no land cover.
    """

    cropland: npt.NDArray[np.float32]
    majority: tuple[str | None, ...]


def read_land_cover(path: Path, grid: TileGrid) -> npt.NDArray[np.uint8]:
    """Land cover on the tile's grid, (height, width).

    Raises:
        CubeError: It is missing, unreadable, or on another grid.
    """
    try:
        with rasterio.open(path) as dataset:
            here = (dataset.height, dataset.width), tuple(dataset.transform)[:6]
            if here != ((grid.height, grid.width), grid.transform):
                raise CubeError(f"{path}: is not on the tile's grid; materialise land_cover again")
            codes: npt.NDArray[np.uint8] = dataset.read(1)
            return codes
    except RasterioError as error:
        raise CubeError(f"{path}: land cover cannot be read ({error}); materialise land_cover again") from None


def land_shares(codes: npt.NDArray[np.uint8], tile_size: int, agricultural: tuple[int, ...]) -> LandShares:
    """Shares and majority classes of all positions."""
    strips = (codes[top : top + SHARD_PIXELS].ravel() for top in range(0, codes.shape[0], SHARD_PIXELS))
    totals = sum((np.bincount(strip, minlength=256) for strip in strips), start=np.zeros(256, dtype=np.int64))
    present = [int(code) for code in np.flatnonzero(totals) if code != NODATA]
    counts = {code: count(codes == code, tile_size).ravel() for code in present}
    positions = (codes.shape[0] // tile_size) * (codes.shape[1] // tile_size)
    zero = np.zeros(positions, dtype=np.int64)
    total = sum(counts.values(), start=zero)
    crops = sum((counts[code] for code in present if code in agricultural), start=zero)
    with np.errstate(invalid="ignore"):
        cropland = (crops / total).astype(np.float32)
    names = [NAMES.get(code, f"class {code}") for code in present]
    commonest = np.argmax(np.stack([*counts.values()]), axis=0) if present else zero
    majority = tuple(names[best] if pixels else None for best, pixels in zip(commonest, total, strict=True))
    return LandShares(cropland, majority)


def scene_index(
    info: CubeInfo, samples: Mapping[int, pd.DataFrame], land: LandShares, labels: LandLabels, resolution: int
) -> gpd.GeoDataFrame:
    """The tile index of a scene cube: every whole position of every active slot.

    Args:
        info: The committed cube.
        samples: Figures per position (row, col, valid_fraction, clear_fraction), by slot.
        land: Land cover per position.
        labels: Thresholds of the labels.
        resolution: Of the H3 cells.
    """
    if info.grid is None:
        raise CubeError(f"{info.tile}: has no grid; an archive's index is made from its images")
    rows, cols = info.grid.positions(info.tile_size)
    place = ground(info.grid, info.tile_size, resolution)
    row, col = (axis.ravel() for axis in np.indices((rows, cols)))
    label = pd.array(np.where(land.cropland >= labels.positive, 1, 0), dtype="Int8")
    decided = (land.cropland >= labels.positive) | (land.cropland <= labels.negative)
    label[~decided] = pd.NA
    base = gpd.GeoDataFrame(
        {
            "tile": info.tile,
            "tile_id": [tile_id(info.tile, int(y), int(x)) for y, x in zip(row, col, strict=True)],
            "row": row,
            "col": col,
            "cropland_fraction": land.cropland,
            "label": label,
            "ambiguous": ~decided,
            "cell": place.cell,
            "owner": place.owner,
            "class_name": land.majority,
            "listed": None,
            "name": None,
        },
        geometry=place.geometry,
        crs="EPSG:4326",
    )
    return _dated(base, info, samples)


def _dated(base: gpd.GeoDataFrame, info: CubeInfo, samples: Mapping[int, pd.DataFrame]) -> gpd.GeoDataFrame:
    """The positions once per active slot, with the slot's own figures."""
    parts = []
    for slot in info.active:
        figures = samples[slot.slot][["valid_fraction", "clear_fraction"]]
        parts.append(
            base.assign(
                slot=slot.slot,
                date=slot.date,
                scene_id=slot.scene_id,
                valid_fraction=figures["valid_fraction"].to_numpy(),
                clear_fraction=figures["clear_fraction"].to_numpy(),
            )
        )
    frame = pd.concat(parts, ignore_index=True)
    return gpd.GeoDataFrame(arrange(frame, keep=("geometry",)), geometry="geometry", crs=base.crs)
