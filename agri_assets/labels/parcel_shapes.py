"""Parcels made fit for a tile's grid: flat, valid polygons in its pixel coordinates."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from agri_assets.labels.parcel_file import Geometries, RawParcels
from agri_assets.labels.parcel_outline import STEPS
from agri_assets.scenes.grid import TileGrid

CHUNK = 8192
"""Parcels made fit at once."""

POLYGON, MULTIPOLYGON, COLLECTION = 3, 6, 7
"""Shapely's numbers of geometry types."""


@dataclass(frozen=True)
class Shapes:
    """Polygons over a tile.

    Attributes:
        polygons: Single polygons in pixels from the grid's upper-left corner, x right, y down, on a lattice of `STEPS`.
        parcels: For each polygon the place of its parcel in `values`.
        values: The attribute's value of each parcel.
        repaired: How many parcels were invalid and were repaired.
        dropped: How many of those read had no polygon in them.
    """

    polygons: Geometries
    parcels: NDArray[np.intp]
    values: tuple[str, ...]
    repaired: int
    dropped: int


def shapes_over(raw: RawParcels, grid: TileGrid) -> Shapes:
    """The parcels that meet a grid, in its pixel coordinates."""
    # some at a time: each step on the way makes a copy
    starts = range(0, max(len(raw.geometry), 1), CHUNK)
    made = [_polygons_over(raw, slice(start, start + CHUNK), grid) for start in starts]
    repaired = np.concatenate([part.repaired for part in made])
    met, number = np.unique(np.concatenate([part.parcel for part in made]), return_inverse=True)
    return Shapes(
        polygons=np.concatenate([part.polygons for part in made]),
        parcels=number,
        values=tuple(raw.values[index] for index in met),
        repaired=int(repaired[met].sum()),
        dropped=sum(part.dropped for part in made),
    )


@dataclass(frozen=True)
class _Part:
    """Polygons of some parcels, the place of each one's parcel in the file, and which parcels were repaired."""

    polygons: Geometries
    parcel: NDArray[np.intp]
    repaired: NDArray[np.bool_]
    dropped: int


def _polygons_over(raw: RawParcels, which: slice, grid: TileGrid) -> _Part:
    flat, repaired = _mended(raw.geometry[which])
    polygons, parcel = shapely.get_parts(flat, return_index=True)
    # a long edge is straight in its own CRS and bows in the tile's
    pixels = _in_pixels(shapely.segmentize(polygons, raw.longest_edge), raw.crs, grid)
    over = np.flatnonzero(np.isfinite(shapely.bounds(pixels)).all(axis=1))
    over = over[shapely.intersects(pixels[over], shapely.box(0, 0, grid.width, grid.height))]
    on_lattice = shapely.transform(pixels[over], lambda points: np.round(points * STEPS) / STEPS)
    return _Part(on_lattice, parcel[over] + which.start, repaired, int(shapely.is_missing(flat).sum()))


def _mended(geometry: Geometries) -> tuple[Geometries, NDArray[np.bool_]]:
    """Flat and valid polygons and multipolygons, None where there is none; and which were invalid before."""
    flat = shapely.force_2d(geometry)
    flat[~np.isfinite(shapely.bounds(flat)).all(axis=1)] = None
    invalid = ~shapely.is_missing(flat) & ~shapely.is_valid(flat)
    flat[invalid] = shapely.make_valid(flat[invalid])
    mixed = shapely.get_type_id(flat) == COLLECTION
    flat[mixed] = [_polygons_of(whole) for whole in flat[mixed]]
    flat[~np.isin(shapely.get_type_id(flat), (POLYGON, MULTIPOLYGON)) | shapely.is_empty(flat)] = None
    return flat, invalid


def _polygons_of(geometry: shapely.Geometry) -> shapely.Geometry:
    """The polygons of a collection: of a file's, or of a repair, which also gives the lines that a ring fell into."""
    parts = np.array([geometry], dtype=object)
    while (shapely.get_type_id(parts) > POLYGON).any():
        parts = shapely.get_parts(parts)
    return shapely.MultiPolygon(list(parts[shapely.get_type_id(parts) == POLYGON]))


def _in_pixels(polygons: Geometries, crs: CRS, grid: TileGrid) -> Geometries:
    to_grid = Transformer.from_crs(crs, grid.crs, always_xy=True)
    a, _, left, _, e, top = grid.transform

    def moved(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = to_grid.transform(points[:, 0], points[:, 1])
        return np.column_stack([(np.asarray(x) - left) / a, (np.asarray(y) - top) / e])

    return np.asarray(shapely.transform(polygons, moved), dtype=object)
