"""Which positions lie near others on the ground, measured between footprints in metres of the tiles' own CRS."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from rasterio.warp import transform

from agri_assets.scenes.grid import TileGrid
from agri_assets.splits.ownership import neighbours

ROUNDING = 1e-9
"""Relative; a distance of exactly one diagonal, which aligned grids produce, must not count as nearer."""


def footprints(positions: pd.DataFrame, grid: TileGrid, tile_size: int, crs: str | None = None) -> NDArray[np.object_]:
    """Footprints of positions of one tile as polygons, in its own CRS or in another.

    Args:
        positions: Columns `row` and `col`.
        grid: The tile's grid.
        tile_size: Edge of a position, in pixels.
        crs: The CRS of the polygons; the grid's own if None.
    """
    a, _, left, _, e, top = grid.transform
    west = left + a * tile_size * positions["col"].to_numpy(np.float64)
    north = top + e * tile_size * positions["row"].to_numpy(np.float64)
    east, south = west + a * tile_size, north + e * tile_size
    if crs is None or crs == grid.crs:
        return np.asarray(shapely.box(west, south, east, north), dtype=object)
    x = np.stack([west, east, east, west], axis=1)
    y = np.stack([north, north, south, south], axis=1)
    moved = transform(grid.crs, crs, x.ravel(), y.ravel())
    corners = np.stack([np.asarray(moved[0]), np.asarray(moved[1])], axis=1).reshape(-1, 4, 2)
    return np.asarray(shapely.polygons(corners), dtype=object)


def near(
    ours: pd.DataFrame, others: pd.DataFrame, grids: Mapping[str, TileGrid], tile_size: int, distance: float
) -> NDArray[np.bool_]:
    """Which of `ours` lie nearer than `distance` to any of `others`.

    Across two zones a pair is measured in both, and counts when it is near in either.

    Args:
        ours: Positions: columns `tile`, `row`, `col`.
        others: The same.
        grids: The grid of every tile.
        tile_size: Edge of a position, in pixels.
        distance: In metres, edge to edge; exactly `distance` is not near.
    """
    found = pd.Series(False, index=ours.index)
    beside = neighbours(grids, tile_size, distance)
    by_tile = {str(tile): part for tile, part in others.groupby("tile", sort=False)}
    for name, part in ours.groupby("tile", sort=False):
        tile = str(name)
        around = [other for other in (tile, *beside[tile]) if other in by_tile]
        for crs in sorted({grids[other].crs for other in (tile, *around)}):
            # In a neighbour's zone only pairs with that zone's own tiles are measured: each zone is exact for its own.
            targets = [other for other in around if crs in (grids[tile].crs, grids[other].crs)]
            if targets:
                shapes = [footprints(by_tile[other], grids[other], tile_size, crs) for other in targets]
                mine = footprints(part, grids[tile], tile_size, crs)
                tree = shapely.STRtree(np.concatenate(shapes))
                hits = tree.query(mine, predicate="dwithin", distance=distance * (1 - ROUNDING))[0]
                found.loc[part.index[np.unique(hits)]] = True
    return found.to_numpy(bool)
