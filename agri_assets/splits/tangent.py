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
        metres: Least distance, edge to edge; None where none is within two diagonals of the larger of its two outlines.
        near: How many of the second set lie nearer to any of the first than one diagonal of the larger of the two.
        worst: The closest two of those; None where there are none.
    """

    metres: float | None
    near: int
    worst: "Close | None"


@dataclass(frozen=True)
class Close:
    """Two outlines that lie too near.

    Attributes:
        pair: Their rows, of the first set and of the second.
        metres: How far apart they are.
        diagonal_m: How far apart they should be: the diagonal of the larger.
    """

    pair: tuple[int, int]
    metres: float
    diagonal_m: float


@dataclass(frozen=True)
class _Pairs:
    """Rows of pairs of outlines, how far apart they are and the diagonal of the larger of each, in metres."""

    left: Rows
    right: Rows
    metres: Floats
    larger_m: Floats

    def closest(self, wanted: NDArray[np.bool_]) -> Close | None:
        """The closest pair of those that are wanted."""
        if not wanted.any():
            return None
        place = int(np.flatnonzero(wanted)[np.argmin(self.metres[wanted])])
        pair = int(self.left[place]), int(self.right[place])
        return Close(pair, float(self.metres[place]), float(self.larger_m[place]))


def nearest(shapes: Shapes, ours: Rows, others: Rows, tolerance: float) -> Nearest:
    """How near some outlines come to others, each pair by the diagonal of the larger of the two.

    Args:
        shapes: Outlines, EPSG:4326, cut at the antimeridian or not.
        ours: Rows of the first set, not empty.
        others: Rows of the second set, not empty.
        tolerance: Share of a diagonal that may be missing.
    """
    (first, _), (second, repeats) = _distinct(shapes, ours), _distinct(shapes, others)
    number = np.full(len(shapes), -1)
    number[second] = np.arange(len(second))
    near, closest, worst = np.zeros(len(second), dtype=bool), None, None
    for pairs in _within_two_diagonals(shapes, first, second):
        too_near = pairs.metres < pairs.larger_m * (1 - tolerance)
        near[number[pairs.right[too_near]]] = True
        closest = _closer(closest, pairs.closest(pairs.metres <= 2 * pairs.larger_m))
        worst = _closer(worst, pairs.closest(too_near))
    return Nearest(round(closest.metres, 1) if closest else None, int(repeats[near].sum()), worst)


def diagonals(shapes: Shapes) -> Floats:
    """The diagonal of each outline, in metres, on its own plane."""
    return np.asarray(2 * shapely.minimum_bounding_radius(_on_plane(shapes, *_corner(shapes))))


def _closer(one: Close | None, other: Close | None) -> Close | None:
    return min((close for close in (one, other) if close), key=lambda close: close.metres, default=None)


def _within_two_diagonals(shapes: Shapes, ours: Rows, others: Rows) -> Iterator[_Pairs]:
    """Pairs that may lie within two diagonals of the larger; outlines of like size are searched together."""
    for left, left_m in _by_size(shapes, ours):
        for right, right_m in _by_size(shapes, others):
            reach = 2 * max(left_m.max(), right_m.max())
            # from corner to corner: the gap, and the length of both
            for mine, theirs in _clusters(shapes[left], shapes[right], 2 * reach):
                lon, lat = _corner(shapes[left[mine[:1]]])
                flat = [_on_plane(shapes[rows], lon, lat) for rows in (left[mine], right[theirs])]
                hits = shapely.STRtree(flat[1]).query(flat[0], predicate="dwithin", distance=reach)
                metres = shapely.distance(flat[0][hits[0]], flat[1][hits[1]])
                one, other = mine[hits[0]], theirs[hits[1]]
                yield _Pairs(left[one], right[other], metres, np.maximum(left_m[one], right_m[other]))


def _by_size(shapes: Shapes, rows: Rows) -> Iterator[tuple[Rows, Floats]]:
    """Rows of outlines whose diagonals differ by no more than a factor of two, with those."""
    metres = diagonals(shapes[rows])
    size = np.floor(np.log2(metres))
    for one in np.unique(size):
        yield rows[size == one], metres[size == one]


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
