"""Distances between outlines anywhere on the Earth, on planes that touch the ellipsoid among them.

Corners go to Earth-centred coordinates and from there to metres east and north of a point near by: no zone, pole or
antimeridian matters. Within `CLUSTER_DEGREES` of the point the plane is true to 2e-4 (half the square of the distance
over the Earth's radius).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

Shapes = NDArray[np.object_]
Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

SEMI_MAJOR_M, FLATTENING = 6_378_137.0, 1 / 298.257223563
"""WGS 84 (EPSG:7030)."""

CLUSTER_DEGREES = 0.5
"""Edge of the squares of ground that are measured on one plane."""


@dataclass(frozen=True)
class Nearest:
    """How near two sets of outlines come.

    Attributes:
        metres: Least distance, edge to edge; None beyond twice the diagonal.
        pair: The rows of the closest two, of the first set and of the second; (-1, -1) where there is none.
        near: How many of the second set lie nearer than the limit to any of the first.
        diagonal_m: What the limit is taken from.
    """

    metres: float | None
    pair: tuple[int, int]
    near: int
    diagonal_m: float


def longest_diagonal(shapes: Shapes) -> float:
    """The longest diagonal of outlines, in metres, each on its own plane."""
    distinct = shapes[_distinct(shapes, np.arange(len(shapes)))[0]]
    return 2 * float(shapely.minimum_bounding_radius(_on_plane(distinct, *_corner(distinct))).max())


def nearest(shapes: Shapes, ours: Rows, others: Rows, diagonal_m: float, limit_m: float) -> Nearest:
    """How near some outlines come to others.

    Args:
        shapes: Outlines, EPSG:4326, cut at the antimeridian or not; none longer than `diagonal_m`.
        ours: Rows of the first set, not empty.
        others: Rows of the second set, not empty.
        diagonal_m: Twice this is looked for the least distance.
        limit_m: What lies nearer is counted.
    """
    (first, _), (second, repeats) = _distinct(shapes, ours), _distinct(shapes, others)
    best, pair, near = np.inf, (-1, -1), np.zeros(len(second), dtype=bool)
    for mine, theirs in _clusters(shapes[first], shapes[second], 4 * diagonal_m):
        lon, lat = _corner(shapes[first[mine[:1]]])
        flat = [_on_plane(shapes[rows], lon, lat) for rows in (first[mine], second[theirs])]
        left, right = shapely.STRtree(flat[1]).query(flat[0], predicate="dwithin", distance=2 * diagonal_m)
        if not len(left):
            continue
        metres = shapely.distance(flat[0][left], flat[1][right])
        near[theirs[right[metres < limit_m]]] = True
        closest = int(np.argmin(metres))
        if metres[closest] < best:
            best, pair = float(metres[closest]), (int(first[mine[left[closest]]]), int(second[theirs[right[closest]]]))
    return Nearest(round(best, 1) if pair[0] >= 0 else None, pair, int(repeats[near].sum()), diagonal_m)


def _distinct(shapes: Shapes, rows: Rows) -> tuple[Rows, Rows]:
    """The first row of each outline, and how many rows have it: many dates of one place are one outline."""
    _, first, count = np.unique(shapely.to_wkb(shapes[rows]), return_index=True, return_counts=True)
    return rows[first], count


def _clusters(ours: Shapes, others: Shapes, reach_m: float) -> Iterator[tuple[Rows, Rows]]:
    """Our outlines by squares of ground, each with the others whose corners lie within reach of any of the square's."""
    lon, lat = _corner(ours)
    line = np.floor(lat / CLUSTER_DEGREES)
    column = np.floor(lon * np.cos(np.radians((line + 0.5) * CLUSTER_DEGREES)) / CLUSTER_DEGREES)
    _, cluster = np.unique(np.stack([line, column], axis=1), axis=0, return_inverse=True)
    order = np.argsort(cluster.ravel(), kind="stable")
    mine, theirs = _earth_centred(lon, lat), _earth_centred(*_corner(others))
    # by distance from the equator's plane: only a slice of the others can be near
    rising = np.argsort(theirs[2], kind="stable")
    height = theirs[2][rising]
    for members in np.split(order, np.cumsum(np.bincount(cluster.ravel()))[:-1]):
        middle = mine[:, members[:1]]
        radius = float(np.linalg.norm(mine[:, members] - middle, axis=0).max()) + reach_m
        start, end = np.searchsorted(height, [middle[2, 0] - radius, middle[2, 0] + radius])
        slab = rising[start:end]
        around = slab[np.linalg.norm(theirs[:, slab] - middle, axis=0) <= radius]
        if len(around):
            yield members, around


def _corner(shapes: Shapes) -> tuple[Floats, Floats]:
    """The first corner of each outline."""
    corners, row = shapely.get_coordinates(shapes, return_index=True)
    first = corners[np.flatnonzero(np.diff(row, prepend=-1))]
    return first[:, 0], first[:, 1]


def _on_plane(shapes: Shapes, lon: Floats, lat: Floats) -> Shapes:
    """Outlines in metres east and north of one point, or each of one of its own."""
    corners, row = shapely.get_coordinates(shapes, return_index=True)
    row = row if len(lon) > 1 else np.zeros_like(row)
    offset = _earth_centred(corners[:, 0], corners[:, 1]) - _earth_centred(lon, lat)[:, row]
    sin_lon, cos_lon = np.sin(np.radians(lon))[row], np.cos(np.radians(lon))[row]
    sin_lat, cos_lat = np.sin(np.radians(lat))[row], np.cos(np.radians(lat))[row]
    east = -sin_lon * offset[0] + cos_lon * offset[1]
    north = -sin_lat * (cos_lon * offset[0] + sin_lon * offset[1]) + cos_lat * offset[2]
    return np.asarray(shapely.set_coordinates(shapes.copy(), np.stack([east, north], axis=1)), dtype=object)


def _earth_centred(lon: Floats, lat: Floats) -> Floats:
    """(x, y, z) in metres of points on the ellipsoid."""
    east, up = np.radians(lon), np.radians(lat)
    squared = FLATTENING * (2 - FLATTENING)
    normal = SEMI_MAJOR_M / np.sqrt(1 - squared * np.sin(up) ** 2)
    x, y = normal * np.cos(up) * np.cos(east), normal * np.cos(up) * np.sin(east)
    return np.stack([x, y, normal * (1 - squared) * np.sin(up)])
