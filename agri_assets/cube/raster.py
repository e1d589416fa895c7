"""Reading a scene's rasters: handles per thread, errors with names, digital numbers to the cube's convention."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.windows import Window

from agri_assets.errors import SceneError
from agri_assets.remote.raster import Raster, open_raster
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.rasters import grid_of
from agri_assets.scenes.record import BandRecord

CUBE_SCALE = 0.0001
"""Reflectance per unit of the cube."""

BLOCK_CACHE_BYTES = 256 << 20
"""GDAL's block cache; its default of 5 % of memory grows with the machine, and whole blocks are read once."""


@dataclass
class Rasters:
    """Open rasters, one handle per thread and file, closed together."""

    _local: threading.local = field(default_factory=threading.local)
    _opened: list[Raster] = field(default_factory=list)

    @contextmanager
    def reading(self, band: BandRecord) -> Iterator[Raster]:
        """This thread's handle of a band's raster.

        Raises:
            SceneError: It cannot be opened.
        """
        handles = self._local.__dict__.setdefault("handles", {})
        with rasterio.Env(GDAL_CACHEMAX=BLOCK_CACHE_BYTES):
            if band.href not in handles:
                handles[band.href] = open_raster(band.href, band.sign)
                self._opened.append(handles[band.href])
            yield handles[band.href]

    def close(self) -> None:
        """Close every handle; call it when no thread reads any more."""
        for raster in self._opened:
            raster.close()
        self._opened.clear()


@dataclass(frozen=True)
class Placed:
    """Where a raster lies on the tile's grid.

    Attributes:
        shape: (height, width) of the raster, in its own pixels.
        factor: Edge of one of its pixels, in pixels of the grid.
        offset: (rows, columns) of its upper-left corner on the grid; beyond the grid they are negative.
        blocks: (height, width) of its blocks.
    """

    shape: tuple[int, int]
    factor: float
    offset: tuple[int, int]
    blocks: tuple[int, int]


def read_pixels(
    rasters: Rasters, band: BandRecord, window: tuple[int, int, int, int], into: npt.NDArray[Any] | None = None
) -> npt.NDArray[Any]:
    """Stored values of (first row, end row, first column, end column) of a band.

    Args:
        rasters: Where its handle is.
        band: What to read.
        window: Which pixels.
        into: Memory for them; used if it is of the raster's own type.

    Raises:
        SceneError: They cannot be read, or are not unsigned integers of at most 16 bits.
    """
    top, bottom, left, right = window
    with rasters.reading(band) as raster:
        stored = np.dtype(raster.dataset.dtypes[band.index - 1])
        if stored not in (np.uint8, np.uint16):
            raise SceneError(f"{band.href}: holds {stored}, expected uint16 digital numbers; convert it first")
        place = into if into is not None and into.dtype == stored else None
        return raster.read(band.index, window=Window(left, top, right - left, bottom - top), out=place)


def place_raster(rasters: Rasters, band: BandRecord, grid: TileGrid) -> Placed:
    """Where a band's raster lies on the tile's grid, all of which or part of which it covers.

    Raises:
        SceneError: It has not that band, is in another CRS, off the grid's pixel corners, or reaches beyond the grid.
    """
    with rasters.reading(band) as raster:
        source = raster.dataset
        own, count, blocks = grid_of(band.href, source), source.count, source.block_shapes[0]
    if band.index > count:
        raise SceneError(f"{band.href}: has {count} bands, asked for number {band.index}; check the product")
    offset = grid.place(own.bounds, own.resolution) if own.crs == grid.crs else None
    if offset is None:
        raise SceneError(
            f"{band.href}: is on {own.shown}, the tile's grid is {grid.shown}; "
            "a raster must lie on the grid's pixel corners and within it, check the product"
        )
    return Placed((own.height, own.width), own.resolution / grid.resolution, offset, blocks)


def to_classes(numbers: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Scene classes as 8 bits; larger numbers, which no class has, stay out of range."""
    classes: npt.NDArray[np.uint8] = np.minimum(numbers, 255).astype(np.uint8, copy=False)
    return classes


def to_reflectance(numbers: npt.NDArray[Any], band: BandRecord) -> tuple[npt.NDArray[np.uint16], int]:
    """Digital numbers to the cube's convention: reflectance * 10000 without offset, 0 = nodata.

    A valid pixel is max(1, DN + offset), so that dark water does not turn into nodata. Numbers of 16 bits are converted
    where they are, since new memory for every window costs more than the arithmetic.

    Returns:
        The pixels, and how many valid ones were clipped to 1.

    Raises:
        SceneError: Its scale or offset are none that Sentinel-2 L2A has.
    """
    if abs(band.scale - CUBE_SCALE) > 1e-9 or band.offset > 0:
        raise SceneError(
            f"{band.href}: scale {band.scale} and offset {band.offset} are none of Sentinel-2 L2A; convert it first"
        )
    least = 1 - band.offset
    numbers = numbers.astype(np.uint16, copy=False)
    offset = np.uint16(-band.offset)
    if band.nodata < least <= numbers.min(initial=least):
        # most windows: nothing to clip and nothing without data
        numbers -= offset
        return numbers, 0
    invalid = numbers == band.nodata
    clipped = int(np.count_nonzero((numbers < least) & ~invalid))
    # in uint16 throughout: raising to the least valid number first means that nothing can wrap around
    np.maximum(numbers, np.uint16(least), out=numbers)
    numbers -= offset
    numbers[invalid] = 0
    return numbers, clipped
