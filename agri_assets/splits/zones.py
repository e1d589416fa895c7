"""Distances between outlines that belong to no tile, such as an archive's, measured in metres of their UTM zones."""

from collections.abc import Iterator

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

Shapes = NDArray[np.object_]
Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

ROUNDING = 1e-5
"""Relative; a gap of exactly the distance, which tiles cut side by side produce, must not count as nearer."""

DEGREE_M = 110_000.0
"""Less than a degree of latitude or of the equator has, so that what is near is never overlooked."""

RADIUS_M = 6_371_008.8
"""Mean radius of the Earth (IUGG)."""

POLE = 89.0
"""Degrees; where meridians meet, any longitude may be near."""


def diagonals(shapes: Shapes) -> Floats:
    """The diagonal of each outline, in metres of its own zone."""
    lon, lat = _corners(shapes)
    lengths = np.zeros(len(shapes))
    for zone, south in _zones(lon, lat):
        own = (zone_of(lon) == zone) & ((lat < 0) == south)
        lengths[own] = 2 * shapely.minimum_bounding_radius(_projected(shapes[own], zone, south))
    return lengths


def near_outlines(ours: Shapes, others: Shapes, our_m: Floats, other_m: Floats) -> tuple[Rows, Rows]:
    """Pairs of outlines that lie nearer than the diagonal of the longer of the two, edge to edge, in our zone.

    Args:
        ours: Outlines, EPSG:4326, cut at the antimeridian or not.
        others: The same.
        our_m: Their diagonals, in metres; exactly a diagonal is not near.
        other_m: The same of the others.

    Returns:
        Places in `ours` and in `others`, one pair each; a pair may come twice.
    """
    if not len(ours) or not len(others):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    (lon, lat), (east, north) = _corners(ours), _corners(others)
    found: list[Rows] = []
    for zone, south in _zones(lon, lat):
        own = np.flatnonzero((zone_of(lon) == zone) & ((lat < 0) == south))
        # from corner to corner: the gap, and the length of both
        reach = 3 * np.maximum(other_m, our_m[own].max()) / DEGREE_M
        turn = np.mod(east - (6 * zone - 183) + 180, 360) - 180
        around = np.flatnonzero(
            (np.abs(turn) <= _beside(north, reach))
            & (north >= lat[own].min() - reach)
            & (north <= lat[own].max() + reach)
        )
        mine, theirs = _projected(ours[own], zone, south), _projected(others[around], zone, south)
        hits = _near_either(mine, theirs, _limit(our_m[own]), _limit(other_m[around]))
        found.append(np.stack([own[hits[0]], around[hits[1]]]))
    left, right = np.concatenate(found, axis=1)
    return left, right


def zone_of(lon: Floats) -> NDArray[np.int64]:
    """UTM zone numbers, 1 to 60, of longitudes from -180 to 180."""
    return np.clip((lon + 180) // 6 + 1, 1, 60).astype(np.int64)


def _near_either(mine: Shapes, theirs: Shapes, my_limit: Floats, their_limit: Floats) -> tuple[Rows, Rows]:
    """Pairs within either's own limit."""
    left, right = shapely.STRtree(theirs).query(mine, predicate="dwithin", distance=my_limit)
    # a limit of theirs that is none of ours above it finds nothing more
    longer = np.flatnonzero(their_limit > my_limit.min())
    place, also = shapely.STRtree(mine).query(theirs[longer], predicate="dwithin", distance=their_limit[longer])
    return np.concatenate([left, also]), np.concatenate([right, longer[place]])


def _limit(metres: Floats) -> Floats:
    """Diagonals as they are compared: longer where a zone, which far outside itself is too wide, must hold them."""
    return metres * (1 - ROUNDING) * (1 + (3 * metres / RADIUS_M) ** 2)


def _beside(north: Floats, reach: Floats) -> Floats:
    """Degrees of longitude from a zone's middle within which an outline may be near to one in the zone."""
    highest = np.abs(north) + reach
    cosine = np.cos(np.radians(np.minimum(highest, POLE)))
    return 3 + np.where(highest < POLE, reach / cosine, 360.0)


def _zones(lon: Floats, lat: Floats) -> Iterator[tuple[int, bool]]:
    """Each zone that holds one of these points, with whether it is in the south."""
    for zone in np.unique(zone_of(lon)).tolist():
        for south in (False, True):
            if ((zone_of(lon) == zone) & ((lat < 0) == south)).any():
                yield zone, south


def _corners(shapes: Shapes) -> tuple[Floats, Floats]:
    """A corner of each outline: near enough to all of it, and on the Earth however it is cut."""
    corners, row = shapely.get_coordinates(shapes, return_index=True)
    first = corners[np.flatnonzero(np.diff(row, prepend=-1))]
    return first[:, 0], first[:, 1]


def _projected(shapes: Shapes, zone: int, south: bool) -> Shapes:
    to_zone = Transformer.from_crs("EPSG:4326", f"EPSG:{(32700 if south else 32600) + zone}", always_xy=True)
    coordinates = shapely.get_coordinates(shapes)
    x, y = to_zone.transform(coordinates[:, 0], coordinates[:, 1])
    return np.asarray(shapely.set_coordinates(shapes.copy(), np.stack([x, y], axis=1)), dtype=object)
