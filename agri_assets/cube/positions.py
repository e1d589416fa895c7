"""Where every tile position lies on the ground."""

from dataclasses import dataclass
from functools import lru_cache

import h3
import mgrs
import numpy as np
import numpy.typing as npt
import shapely
import shapely.geometry
from pyproj import Transformer

from agri_assets.scenes.footprint import polygon
from agri_assets.scenes.grid import TileGrid

HALF_TURN = 180.0
"""Degrees of longitude that only the ring of a position across the antimeridian can span, away from the poles."""


@dataclass(frozen=True)
class Ground:
    """Where positions lie, row by row.

    Attributes:
        geometry: Their outlines, EPSG:4326; those across the antimeridian are cut there (RFC 7946, section 3.1.9).
        cell: H3 cells of their centres.
        owner: MGRS tiles that their centres lie in by the nominal 100 km grid; only the owner's samples count.
    """

    geometry: npt.NDArray[np.object_]
    cell: tuple[str, ...]
    owner: tuple[str, ...]


@lru_cache(maxsize=4)
def ground(grid: TileGrid, tile_size: int, resolution: int) -> Ground:
    """Outlines, cells and owners of all whole positions of a grid.

    Args:
        grid: The tile's grid.
        tile_size: Edge of a position in pixels.
        resolution: Of the H3 cells.
    """
    rows, cols = grid.positions(tile_size)
    to_degrees = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    a, _, left, _, e, top = grid.transform
    x, y = left + a * tile_size * np.arange(cols + 1), top + e * tile_size * np.arange(rows + 1)
    corners = np.stack(to_degrees.transform(*np.meshgrid(x, y)), axis=-1)
    around = (corners[:-1, :-1], corners[:-1, 1:], corners[1:, 1:], corners[1:, :-1], corners[:-1, :-1])
    rings = np.stack(around, axis=2).reshape(rows * cols, 5, 2)
    middle_x, middle_y = np.meshgrid(x[:-1] + a * tile_size / 2, y[:-1] + e * tile_size / 2)
    longitude, latitude = to_degrees.transform(middle_x.ravel(), middle_y.ravel())
    places = list(zip(latitude.tolist(), longitude.tolist(), strict=True))
    converter = mgrs.MGRS()
    return Ground(
        geometry=_outlines(rings),
        cell=tuple(h3.latlng_to_cell(lat, lon, resolution) for lat, lon in places),
        owner=tuple(converter.toMGRS(lat, lon, MGRSPrecision=0) for lat, lon in places),
    )


def _outlines(rings: npt.NDArray[np.float64]) -> npt.NDArray[np.object_]:
    """Polygons of (position, corner, longitude and latitude) rings; of two parts across the antimeridian."""
    outlines = np.asarray(shapely.polygons(rings), dtype=object)
    for across in np.flatnonzero(np.ptp(rings[:, :, 0], axis=1) > HALF_TURN):
        outlines[across] = shapely.geometry.shape(polygon([(lon, lat) for lon, lat in rings[across].tolist()]))
    return outlines
