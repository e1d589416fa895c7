"""One raster's pixels on a part of the grid: decoded, converted and laid where they belong. Needs no Dask."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from agri_assets.cube.plan import CLASSES, BandPlan
from agri_assets.cube.raster import Rasters, read_pixels, to_classes, to_reflectance
from agri_assets.cube.resample import resample


@dataclass(frozen=True)
class Part:
    """A decoded piece of a raster, where in it the piece begins, and how many of its valid pixels were clipped."""

    pixels: npt.NDArray[Any]
    clipped: int
    top: int = 0
    left: int = 0


def fill(rasters: Rasters, target: npt.NDArray[Any], plan: BandPlan, y: int, x: int, shared: Part | None = None) -> int:
    """Lay one raster over the pixels of the grid from (y, x) on, and 0 where it does not reach.

    Args:
        rasters: Where its handle is.
        target: (height, width) pixels to fill.
        plan: How the raster is read.
        y: Row of the grid that `target` begins at; before the grid's first row nothing is laid.
        x: The same of columns.
        shared: A piece of the raster that was decoded before, where there is one.

    Returns:
        How many pixels were clipped, but for those of a shared part, which are counted by themselves.

    Raises:
        SceneError: The raster cannot be read.
    """
    rows, cols = plan.axes(y, x, *target.shape)
    if (len(rows), len(cols)) != target.shape:
        target.fill(0)
    if not rows or not cols:
        return 0
    (top, bottom), (left, right) = rows.span(plan.method), cols.span(plan.method)
    place = target[rows.run, cols.run]
    native = plan.place.factor == 1
    part = shared or decode(rasters, plan, (top, bottom, left, right), place if native else None)
    values = part.pixels[top - part.top : bottom - part.top, left - part.left : right - part.left]
    if not native:
        place[:] = resample(values, rows, cols, plan.method)
    elif not np.may_share_memory(values, place):
        place[:] = values
    return 0 if shared else part.clipped


def decode(
    rasters: Rasters, plan: BandPlan, window: tuple[int, int, int, int], into: npt.NDArray[Any] | None = None
) -> Part:
    """Read and convert (first row, end row, first column, end column) of a raster, in memory that is there already.

    Raises:
        SceneError: They cannot be read.
    """
    numbers = read_pixels(rasters, plan.band, window, into)
    pixels, clipped = (to_classes(numbers), 0) if plan.name == CLASSES else to_reflectance(numbers, plan.band)
    return Part(pixels, clipped, top=window[0], left=window[2])
