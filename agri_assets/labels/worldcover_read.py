"""WorldCover files read by window, and laid on a tile's grid by nearest neighbour."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from rasterio.transform import Affine, array_bounds
from rasterio.warp import Resampling, reproject
from rasterio.windows import Window

from agri_assets.errors import LabelError
from agri_assets.labels.cover import Codes
from agri_assets.labels.damage import as_damage
from agri_assets.labels.degrees import Bounds, Degrees
from agri_assets.labels.worldcover import NAMES, NODATA
from agri_assets.remote.raster import Raster, open_raster
from agri_assets.scenes.grid import TileGrid

WORLDCOVER_CRS = "EPSG:4326"

MARGIN = 2
"""Source pixels read beyond a window, so that the nearest one to its outermost centres is among them."""


@contextmanager
def open_sheet(href: str, sign: str = "") -> Iterator[Raster]:
    """Open a WorldCover file for the length of a `with` block.

    Raises:
        LabelError: It cannot be opened, is not in EPSG:4326, or is not one band of 8-bit classes.
        RemoteError: Its host does not give it.
    """
    with as_damage():
        raster = open_raster(href, sign)
    try:
        crs = raster.dataset.crs.to_string() if raster.dataset.crs else "no CRS"
        bands, dtype = raster.dataset.count, raster.dataset.dtypes[0]
        if (crs, bands, dtype) != (WORLDCOVER_CRS, 1, "uint8"):
            held = f"{bands} bands of {dtype}" if bands > 1 else dtype
            raise LabelError(
                f"{raster.href}: {held} in {crs}, expected uint8 classes in {WORLDCOVER_CRS}; not a WorldCover file"
            )
        yield raster
    finally:
        raster.close()


def sheet_bounds(href: str) -> Bounds:
    """(west, south, east, north) of a WorldCover file.

    Raises:
        LabelError: As `open_sheet`.
    """
    with open_sheet(href) as raster:
        west, south, east, north = raster.dataset.bounds
        return west, south, east, north


def lay(raster: Raster, grid: TileGrid, window: Window, codes: Codes) -> None:
    """Put a file's classes over `codes`, a window of the grid; where it has none, `codes` stays.

    Only the source pixels under the window are read, and by `Raster.read`, which raises where a virtual raster in
    between would give nodata.

    Raises:
        LabelError: The file cannot be read, or holds codes that WorldCover does not have.
        RemoteError: Its host does not give it.
    """
    place = _corner(Affine(*grid.transform), window)
    under = Degrees.of(grid.crs, array_bounds(*codes.shape, place))
    for part in _parts(raster, under):
        with as_damage():
            found = raster.read(1, window=part)
        _check(raster.href, found)
        reproject(
            found,
            codes,
            src_transform=_corner(raster.dataset.transform, part),
            src_crs=raster.dataset.crs,
            src_nodata=NODATA,
            dst_transform=place,
            dst_crs=grid.crs,
            dst_nodata=NODATA,
            init_dest_nodata=False,
            resampling=Resampling.nearest,
        )


def _parts(raster: Raster, under: Degrees) -> Iterator[Window]:
    """Windows of the file that the box lies on, whole pixels and a margin."""
    dataset = raster.dataset
    for box in under.boxes:
        west, south, east, north = box
        (first_col, first_row), (last_col, last_row) = (
            ~dataset.transform @ (west, north),
            ~dataset.transform @ (east, south),
        )
        left, top = max(0, math.floor(first_col) - MARGIN), max(0, math.floor(first_row) - MARGIN)
        right = min(dataset.width, math.ceil(last_col) + MARGIN)
        bottom = min(dataset.height, math.ceil(last_row) + MARGIN)
        if left < right and top < bottom:
            yield Window(left, top, right - left, bottom - top)


def _corner(place: Affine, window: Window) -> Affine:
    """The transform of a window of a raster."""
    return place @ Affine.translation(window.col_off, window.row_off)


def _check(href: str, codes: Codes) -> None:
    present = np.flatnonzero(np.bincount(codes.ravel(), minlength=256)).tolist()
    if unknown := [code for code in present if code != NODATA and code not in NAMES]:
        raise LabelError(f"{href}: holds code {unknown[0]}, which is no WorldCover class; not a WorldCover file")
