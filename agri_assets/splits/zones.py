"""Distances between outlines that belong to no tile, such as an archive's, measured in metres of their UTM zones."""

from collections.abc import Iterator

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

Shapes = NDArray[np.object_]
Floats = NDArray[np.float64]

ROUNDING = 1e-5
"""Relative; a gap of exactly the distance, which tiles cut side by side produce, must not count as nearer."""

DEGREE_M = 110_000.0
"""Less than a degree of latitude or of the equator has, so that what is near is never overlooked."""

POLE = 89.0
"""Degrees; where meridians meet, any longitude may be near."""


def diagonal(shapes: Shapes) -> float:
    """The longest diagonal of these outlines, in metres of their own zones; 0 where there is none."""
    lon, lat = _corners(shapes)
    longest = 0.0
    for zone, south in _zones(lon, lat):
        own = (zone_of(lon) == zone) & ((lat < 0) == south)
        radius = shapely.minimum_bounding_radius(_projected(shapes[own], zone, south))
        longest = max(longest, 2 * float(radius.max()))
    return longest


def near_outlines(ours: Shapes, others: Shapes, distance: float) -> NDArray[np.bool_]:
    """Which of our outlines lie nearer than `distance` metres to any of the others, edge to edge, in our zone.

    No outline may be longer than `distance`.

    Args:
        ours: Outlines, EPSG:4326, cut at the antimeridian or not.
        others: The same.
        distance: In metres; exactly `distance` is not near.
    """
    found = np.zeros(len(ours), dtype=bool)
    if not len(ours) or not len(others):
        return found
    (lon, lat), (east, north) = _corners(ours), _corners(others)
    # from corner to corner: the gap, and the length of both
    reach = 3 * distance / DEGREE_M
    beside = 3 + np.where(np.abs(north) + reach < POLE, reach / np.cos(np.radians(np.abs(north) + reach)), 360)
    for zone, south in _zones(lon, lat):
        own = np.flatnonzero((zone_of(lon) == zone) & ((lat < 0) == south))
        turn = np.mod(east - (6 * zone - 183) + 180, 360) - 180
        around = (np.abs(turn) <= beside) & (north >= lat[own].min() - reach) & (north <= lat[own].max() + reach)
        tree = shapely.STRtree(_projected(others[around], zone, south))
        mine = _projected(ours[own], zone, south)
        hits = tree.query(mine, predicate="dwithin", distance=distance * (1 - ROUNDING))[0]
        found[own[np.unique(hits)]] = True
    return found


def zone_of(lon: Floats) -> NDArray[np.int64]:
    """UTM zone numbers, 1 to 60, of longitudes from -180 to 180."""
    return np.clip((lon + 180) // 6 + 1, 1, 60).astype(np.int64)


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
