"""Which positions lie near others on the ground, measured between footprints in metres of the tiles' own CRS."""

from collections.abc import Mapping

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.warp import transform

from agri_assets.scenes.grid import TileGrid
from agri_assets.splits.ownership import Floats, Places

ROUNDING = 1e-9
"""Relative; a distance of exactly one diagonal, which aligned grids produce, must not count as nearer."""


def corners(places: Places, grid: TileGrid, tile_size: int, crs: str) -> Floats:
    """Corners of positions of one tile in some CRS, (positions, 4, x and y), round about.

    Args:
        places: (rows, columns).
        grid: The tile's grid.
        tile_size: Edge of a position, in pixels.
        crs: The CRS of the corners.
    """
    a, _, left, _, e, top = grid.transform
    row, col = (axis.astype(np.float64) for axis in places)
    west, north = left + a * tile_size * col, top + e * tile_size * row
    east, south = west + a * tile_size, north + e * tile_size
    x = np.stack([west, east, east, west], axis=1)
    y = np.stack([north, north, south, south], axis=1)
    if crs != grid.crs:
        x, y = (np.reshape(axis, x.shape) for axis in transform(grid.crs, crs, x.ravel(), y.ravel()))
    return np.stack([x, y], axis=-1)


def near(
    tile: str,
    ours: Places,
    others: Mapping[str, Places],
    grids: Mapping[str, TileGrid],
    tile_size: int,
    distance: float,
) -> NDArray[np.bool_]:
    """Which positions of a tile lie nearer than `distance` to any of some positions of it and of other tiles.

    Across two zones a pair is measured in both, and counts when it is near in either.

    Args:
        tile: The tile.
        ours: (rows, columns) of its positions.
        others: The same of each tile that may be near.
        grids: The grid of every tile.
        tile_size: Edge of a position, in pixels.
        distance: In metres, edge to edge; exactly `distance` is not near.
    """
    found, home = np.zeros(len(ours[0]), dtype=bool), grids[tile].crs
    others = {other: places for other, places in others.items() if len(places[0])}
    if not len(found) or not others:
        return found
    for crs in sorted({home, *(grids[other].crs for other in others)}):
        # In a neighbour's zone only pairs with that zone's own tiles are measured: each zone is exact for its own.
        targets = [other for other in others if crs in (home, grids[other].crs)]
        mine = corners(ours, grids[tile], tile_size, crs)
        low, high = mine.min(axis=(0, 1)) - distance, mine.max(axis=(0, 1)) + distance
        theirs = [_within(corners(others[other], grids[other], tile_size, crs), low, high) for other in targets]
        around = np.concatenate(theirs)
        if len(around):
            rows = np.flatnonzero(_close(around, mine.min(axis=1), mine.max(axis=1), distance))
            tree = shapely.STRtree(np.asarray(shapely.polygons(around), dtype=object))
            hits = tree.query(shapely.polygons(mine[rows]), predicate="dwithin", distance=distance * (1 - ROUNDING))[0]
            found[rows[hits]] = True
    return found


def _within(shapes: Floats, low: Floats, high: Floats) -> Floats:
    """Those shapes that reach into a box."""
    inside = (shapes.max(axis=1) >= low).all(axis=1) & (shapes.min(axis=1) <= high).all(axis=1)
    return np.asarray(shapes[inside])


def _close(around: Floats, low: Floats, high: Floats, distance: float) -> NDArray[np.bool_]:
    """Which boxes may lie within `distance` of the box around some shapes."""
    least, most = around.min(axis=(0, 1)) - distance, around.max(axis=(0, 1)) + distance
    return np.asarray((high >= least).all(axis=1) & (low <= most).all(axis=1))
