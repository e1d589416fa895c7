"""Which tile owns a piece of ground that several tiles cover.

The rule: the candidates for a position are the tiles of the collection whose positions cover its centre. The nominal
MGRS tile of the centre (column `owner` of the index) owns it if it is a candidate, else the candidate whose name comes
first. Only the owner's samples are used.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from rasterio.warp import transform

from agri_assets.scenes.grid import TileGrid

Floats = NDArray[np.float64]
Names = NDArray[np.object_]
Places = tuple[NDArray[np.intp], NDArray[np.intp]]

EARTH_RADIUS = 6_371_008.8
"""Mean radius of the Earth in metres (IUGG)."""

COARSE = 0.01
"""Slack of the coarse search for neighbouring tiles: more than a sphere and a zone's scale are wrong by (0.5 %)."""


def covered_bounds(grid: TileGrid, tile_size: int) -> tuple[float, float, float, float]:
    """(left, bottom, right, top) of the whole positions of a tile in its CRS; pixels beyond them hold no sample."""
    rows, cols = grid.positions(tile_size)
    left, _, _, top = grid.position_bounds(0, 0, tile_size)
    _, bottom, right, _ = grid.position_bounds(rows - 1, cols - 1, tile_size)
    return left, bottom, right, top


def centres(grid: TileGrid, row: NDArray[np.intp], col: NDArray[np.intp], tile_size: int) -> tuple[Floats, Floats]:
    """Centres (x, y) of positions in the CRS of their grid."""
    a, _, left, _, e, top = grid.transform
    x = left + a * tile_size * (col.astype(np.float64) + 0.5)
    y = top + e * tile_size * (row.astype(np.float64) + 0.5)
    return x, y


def neighbours(grids: Mapping[str, TileGrid], tile_size: int, reach: float = 0.0) -> dict[str, list[str]]:
    """For each tile the other tiles that may come within `reach` metres of it: a coarse search by circles around tiles.

    Distances are chords between centres on a sphere, so that neither zones nor the antimeridian matter.
    """
    names = sorted(grids)
    middle, radius = np.empty((len(names), 3)), np.empty(len(names))
    for number, name in enumerate(names):
        left, bottom, right, top = covered_bounds(grids[name], tile_size)
        lon, lat = transform(grids[name].crs, "EPSG:4326", [(left + right) / 2], [(bottom + top) / 2])
        east, north = np.radians(lon[0]), np.radians(lat[0])
        middle[number] = np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)
        radius[number] = np.hypot(right - left, top - bottom) / 2
    apart = EARTH_RADIUS * np.linalg.norm(middle[:, None] - middle[None], axis=-1)
    meet = apart * (1 - COARSE) <= radius[:, None] + radius[None] + reach
    return {name: [names[k] for k in np.flatnonzero(meet[i]) if k != i] for i, name in enumerate(names)}


def owners(
    tile: str,
    places: Places,
    nominal: Names,
    grids: Mapping[str, TileGrid],
    beside: Sequence[str],
    tile_size: int,
) -> Names:
    """The owning tile of each of some positions of one tile, by the rule of this module.

    Args:
        tile: The tile.
        places: (rows, columns) of its positions.
        nominal: The nominal MGRS tile of each centre.
        grids: The grid of every tile of the collection.
        beside: Tiles that may cover some of it (see `neighbours`).
        tile_size: Edge of a position, in pixels.
    """
    x, y = centres(grids[tile], *places, tile_size)
    first, has_nominal = np.full(len(x), tile, dtype=object), nominal == tile
    for other in beside:
        inside = _inside(x, y, grids[tile], grids[other], tile_size)
        first = np.where(inside & (first > other), other, first)
        has_nominal |= inside & (nominal == other)
    return np.where(has_nominal, nominal, first)


def _inside(x: Floats, y: Floats, own: TileGrid, other: TileGrid, tile_size: int) -> NDArray[np.bool_]:
    if own.crs != other.crs:
        x, y = (np.asarray(values) for values in transform(own.crs, other.crs, x, y))
    left, bottom, right, top = covered_bounds(other, tile_size)
    return np.asarray((x >= left) & (x < right) & (y > bottom) & (y <= top))
