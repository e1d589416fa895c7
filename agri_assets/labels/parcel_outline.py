"""Which pixels the outlines of polygons cross, in whole numbers, so that no rounding depends on the window drawn.

GDAL's own drawing of lines (`all_touched`) walks from where a line enters the raster, and what it makes of a line
through a pixel's corner depends on where that is.
"""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.windows import Window

STEPS = 256
"""Vertices lie on a lattice of this many steps per pixel (4 cm at 10 m)."""

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Crossed:
    """Pixels of a window; one that several outlines cross stands there several times.

    Attributes:
        rows: From the window's upper edge.
        cols: From its left edge.
        polygon: Place of the polygon whose outline it is.
    """

    rows: Ints
    cols: Ints
    polygon: Ints


def crossed_pixels(polygons: NDArray[np.object_], window: Window) -> Crossed:
    """The pixels of a window whose inside the polygons' outlines cross; an outline along their edges crosses none.

    Args:
        polygons: In pixels of the grid, their vertices on the lattice.
        window: In pixels of the grid.
    """
    top, left = int(window.row_off), int(window.col_off)
    ends, polygon = _segments(polygons)
    low, high = ends[:, 1], ends[:, 3]
    first, last = np.maximum(low // STEPS, top), np.minimum(-(-high // STEPS), top + int(window.height))
    segment, row = _spread(first, last)
    start, stop = _columns(ends[segment], row)
    start, stop = np.maximum(start, left), np.minimum(stop, left + int(window.width))
    span, col = _spread(start, stop)
    return Crossed(row[span] - top, col - left, polygon[segment[span]])


def _segments(polygons: NDArray[np.object_]) -> tuple[Ints, Ints]:
    """Segments (x, y, x, y) in steps of the lattice, the end of lower y first, and the polygon of each."""
    rings, owner = shapely.get_rings(polygons, return_index=True)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    whole = np.rint(points * STEPS).astype(np.int64)
    joined = ring[1:] == ring[:-1]
    starts, ends = whole[:-1][joined], whole[1:][joined]
    down = (starts[:, 1] <= ends[:, 1])[:, None]
    ordered = np.hstack([np.where(down, starts, ends), np.where(down, ends, starts)])
    return ordered, owner[ring[1:][joined]]


def _columns(ends: Ints, row: Ints) -> tuple[Ints, Ints]:
    """First and one past the last column whose inside each segment crosses within its row."""
    x, y, end_x, end_y = ends.T
    rise = np.maximum(end_y - y, 1)
    numerators = [x * rise + (np.clip(edge * STEPS, y, end_y) - y) * (end_x - x) for edge in (row, row + 1)]
    # a level segment lies in one row, from end to end
    level = end_y == y
    one, other = np.where(level, x, numerators[0]), np.where(level, end_x, numerators[1])
    scale = rise * STEPS
    return np.minimum(one, other) // scale, -(-np.maximum(one, other) // scale)


def _spread(first: Ints, past: Ints) -> tuple[Ints, Ints]:
    """Every whole number of each range [first, past), and the range it is of."""
    lengths = np.maximum(past - first, 0)
    which = np.repeat(np.arange(len(lengths)), lengths)
    offset = np.arange(len(which)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return which, first[which] + offset
