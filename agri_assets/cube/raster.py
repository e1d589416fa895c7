"""Reading a scene's rasters: handles per thread, errors with names, digital numbers to the cube's convention."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from agri_assets.errors import SceneError
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.record import BandRecord

CUBE_SCALE = 0.0001
"""Reflectance per unit of the cube."""

BLOCK_CACHE_MB = 256
"""GDAL's block cache; its default of 5 % of memory grows with the machine, and whole blocks are read once."""


@dataclass
class Rasters:
    """Open rasters, one handle per thread and file, closed together."""

    _local: threading.local = field(default_factory=threading.local)
    _opened: list[DatasetReader] = field(default_factory=list)

    @contextmanager
    def reading(self, href: str) -> Iterator[DatasetReader]:
        """This thread's handle of a raster.

        Raises:
            SceneError: It cannot be opened, or reading inside the block fails.
        """
        handles = self._local.__dict__.setdefault("handles", {})
        try:
            with rasterio.Env(GDAL_CACHEMAX=BLOCK_CACHE_MB):
                if href not in handles:
                    handles[href] = rasterio.open(href)
                    self._opened.append(handles[href])
                yield handles[href]
        except RasterioError as error:
            # GDAL's own words are in the cause: rasterio itself only says that the read failed
            reason = str(error.__cause__ or error).splitlines()[0]
            raise SceneError(f"{href}: the raster cannot be read ({reason}); fetch the product again") from None

    def close(self) -> None:
        """Close every handle; call it when no thread reads any more."""
        for dataset in self._opened:
            dataset.close()
        self._opened.clear()


def read_pixels(rasters: Rasters, href: str, window: tuple[int, int, int, int]) -> npt.NDArray[Any]:
    """Stored values of (first row, end row, first column, end column) of a single-band raster.

    Raises:
        SceneError: They cannot be read, or are not unsigned integers of at most 16 bits.
    """
    top, bottom, left, right = window
    with rasters.reading(href) as dataset:
        pixels: npt.NDArray[Any] = dataset.read(1, window=Window(left, top, right - left, bottom - top))
    if pixels.dtype not in (np.uint8, np.uint16):
        raise SceneError(f"{href}: holds {pixels.dtype}, expected uint16 digital numbers; convert it first")
    return pixels


def require_on_grid(rasters: Rasters, href: str, grid: TileGrid) -> tuple[int, int]:
    """(height, width) of a raster that must fill the grid.

    Raises:
        SceneError: Its CRS or its corners are not the grid's.
    """
    with rasters.reading(href) as dataset:
        bounds, crs, pixel = tuple(dataset.bounds), dataset.crs, dataset.res[0]
        shape = (dataset.height, dataset.width)
    if not grid.is_filled_by(bounds, pixel) or crs != rasterio.crs.CRS.from_user_input(grid.crs):
        raise SceneError(
            f"{href}: covers {bounds} in {crs}, the tile is {grid.bounds} in {grid.crs}; check the product"
        )
    return shape


def to_reflectance(numbers: npt.NDArray[Any], band: BandRecord) -> tuple[npt.NDArray[np.uint16], int]:
    """Digital numbers to the cube's convention: reflectance * 10000 without offset, 0 = nodata.

    A valid pixel is max(1, DN + offset), so that dark water does not turn into nodata.

    Returns:
        The pixels, and how many valid ones were clipped to 1.

    Raises:
        SceneError: Its scale or offset are none that Sentinel-2 L2A has.
    """
    if abs(band.scale - CUBE_SCALE) > 1e-9 or band.offset > 0:
        raise SceneError(
            f"{band.href}: scale {band.scale} and offset {band.offset} are none of Sentinel-2 L2A; convert it first"
        )
    invalid = numbers == band.nodata
    least = 1 - band.offset
    clipped = int(np.count_nonzero(numbers < least)) - int(np.count_nonzero(numbers[invalid] < least))
    # in uint16 throughout: raising to the least valid number first means that nothing can wrap around
    pixels = np.maximum(numbers.astype(np.uint16, copy=False), np.uint16(least))
    pixels -= np.uint16(-band.offset)
    pixels[invalid] = 0
    return pixels, clipped


def replicate(pixels: npt.NDArray[Any], rows: npt.NDArray[np.intp], cols: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
    """Nearest-neighbour resampling: the pixels at these rows and columns. Nodata is never mixed with data."""
    return pixels.take(rows, axis=0).take(cols, axis=1)


def source_index(start: int, count: int, factor: float, coarse: int) -> npt.NDArray[np.intp]:
    """Which source pixels lie under fine pixels `start` to `start + count`, along one axis.

    Args:
        start: First fine pixel.
        count: How many fine pixels.
        factor: Edge of a source pixel, in fine pixels.
        coarse: How many source pixels there are.
    """
    centres = (np.arange(start, start + count) + 0.5) / factor
    return np.minimum(centres.astype(np.intp), coarse - 1)
