"""A picture of a split of scenes: what every piece of ground is used for, whatever the number of tiles."""

from collections.abc import Mapping

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rasterio.warp import transform

from agri_assets.scenes.grid import TileGrid
from agri_assets.splits.ownership import covered_bounds
from agri_assets.splits.picture import COLOURS, DPI, SIZE_INCHES, finish
from agri_assets.splits.settings import ROLES
from agri_assets.splits.tile_map import TileMap

POINTS = 900
"""Points along the longer side of the picture that the ground is looked up at; more than it has pixels."""

EDGE = 32
"""Points along each edge of a tile from which its extent is taken."""

Floats = NDArray[np.float64]
Extent = tuple[float, float, float, float]


def scenes_map(maps: Mapping[str, TileMap], grids: Mapping[str, TileGrid], tile_size: int, title: str) -> bytes:
    """Draw the positions of all tiles by split as PNG.

    Each point of the picture is looked up in the tiles, so that it costs the same for one tile and for a thousand.

    Args:
        maps: What became of the positions of each tile.
        grids: The grid of every tile.
        tile_size: Edge of a position, in pixels.
        title: Heading.
    """
    extents = _unbroken({tile: _extent(grids[tile], tile_size) for tile in maps})
    west, south = (min(extent[side] for extent in extents.values()) for side in (0, 1))
    east, north = (max(extent[side] for extent in extents.values()) for side in (2, 3))
    step = max(east - west, north - south) / POINTS
    # a region may be very much wider than high, and still has a row of points
    across, down = (max(1, round(length / step)) for length in (east - west, north - south))
    lon = west + (np.arange(across) + 0.5) * (east - west) / across
    lat = north - (np.arange(down) + 0.5) * (north - south) / down
    drawn = np.zeros((len(lat), len(lon)), dtype=np.uint8)
    for tile, extent in extents.items():
        y, x = (_between(axis, extent[side], extent[side + 2]) for axis, side in ((lat, 1), (lon, 0)))
        found = _look_up(maps[tile], grids[tile], tile_size, lon[x], lat[y])
        drawn[y, x] = np.maximum(drawn[y, x], found)
    return _picture(drawn, (west, east, south, north), _counts(maps), title)


def _look_up(found: TileMap, grid: TileGrid, tile_size: int, lon: Floats, lat: Floats) -> NDArray[np.uint8]:
    """What lies at each point: 0 no position, 1 an unused one, then the roles in order."""
    points = np.meshgrid((lon + 180) % 360 - 180, lat)
    x, y = (np.asarray(axis) for axis in transform("EPSG:4326", grid.crs, *(axis.ravel() for axis in points)))
    left, bottom, right, top = covered_bounds(grid, tile_size)
    inside = (x >= left) & (x < right) & (y > bottom) & (y <= top)
    row, col = ((top - y) // (tile_size * grid.resolution), (x - left) // (tile_size * grid.resolution))
    shown = np.where(found.role > 0, found.used + 1, 0).astype(np.uint8)
    values = np.zeros(len(x), dtype=np.uint8)
    values[inside] = shown[row[inside].astype(np.intp), col[inside].astype(np.intp)]
    return values.reshape(len(lat), len(lon))


def _extent(grid: TileGrid, tile_size: int) -> Extent:
    """(west, south, east, north) of a tile in degrees; east is beyond 180 where it lies across the antimeridian."""
    left, bottom, right, top = covered_bounds(grid, tile_size)
    x, y = np.linspace(left, right, EDGE), np.linspace(bottom, top, EDGE)
    around = [*((a, b) for a in x for b in (bottom, top)), *((a, b) for b in y for a in (left, right))]
    lon, lat = (np.asarray(axis) for axis in transform(grid.crs, "EPSG:4326", *zip(*around, strict=True)))
    if np.ptp(lon) > 180:
        lon = np.where(lon < 0, lon + 360, lon)
    return float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())


def _unbroken(extents: dict[str, Extent]) -> dict[str, Extent]:
    """The extents with the western hemisphere east of 180 degrees where that makes the picture narrower."""
    moved = {
        tile: (west + 360, south, east + 360, north) if west < 0 else (west, south, east, north)
        for tile, (west, south, east, north) in extents.items()
    }
    return min(extents, moved, key=_width)


def _width(extents: dict[str, Extent]) -> float:
    return max(extent[2] for extent in extents.values()) - min(extent[0] for extent in extents.values())


def _between(axis: Floats, low: float, high: float) -> slice:
    """The places of a rising or falling axis between two values."""
    inside = np.flatnonzero((axis >= low) & (axis <= high))
    return slice(int(inside[0]), int(inside[-1]) + 1) if len(inside) else slice(0, 0)


def _counts(maps: Mapping[str, TileMap]) -> dict[str, int]:
    """Positions by role."""
    total = np.zeros(len(ROLES) + 1, dtype=np.int64)
    absent = 0
    for found in maps.values():
        total += np.bincount(found.used.ravel(), minlength=len(total))
        absent += int((found.role == 0).sum())
    total[0] -= absent
    return dict(zip(COLOURS, total.tolist(), strict=True))


def _picture(drawn: NDArray[np.uint8], extent: Extent, counts: Mapping[str, int], title: str) -> bytes:
    figure = Figure(figsize=(SIZE_INCHES, SIZE_INCHES), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    colours = [(1.0, 1.0, 1.0, 0.0), *(to_rgba(colour) for colour in COLOURS.values())]
    axes.imshow((255 * np.array(colours)).round().astype(np.uint8)[drawn], extent=extent, interpolation="antialiased")
    return finish(figure, axes, (extent[2] + extent[3]) / 2, counts, title)
