"""Footprints as GeoJSON, cut at the antimeridian as RFC 7946 (section 3.1.9) asks."""

from collections.abc import Iterable, Sequence

Point = tuple[float, float]
Ring = list[Point]

POLE = 91.0
"""Beyond every latitude, so that a cut along meridians never cuts along a parallel."""


def polygon(points: Sequence[Point]) -> dict[str, object]:
    """A GeoJSON Polygon of (longitude, latitude) points, or a MultiPolygon where it crosses the antimeridian.

    Two neighbouring points more than 180 degrees apart are taken to be joined across it.
    """
    return cut([[points]])


def cut(polygons: Iterable[Sequence[Sequence[Point]]]) -> dict[str, object]:
    """Polygons as GeoJSON, each an outer ring and its holes, cut at the antimeridian and within 180 degrees."""
    parts = [part for rings in polygons for part in _parts(rings)]
    if len(parts) == 1:
        return {"type": "Polygon", "coordinates": parts[0]}
    return {"type": "MultiPolygon", "coordinates": parts}


def crosses(ring: Sequence[Point]) -> bool:
    """Whether a ring crosses the antimeridian unsplit, or has longitudes beyond it."""
    return not _in_range(_unwrap(ring))


def _parts(rings: Sequence[Sequence[Point]]) -> list[list[Ring]]:
    """One polygon's parts on either side of the antimeridian, each with its holes."""
    outer, *holes = (_closed(_unwrap(_without_repeats(ring))) for ring in rings)
    together = [outer, *(_moved(hole, _turns(outer, hole)) for hole in holes)]
    return [together] if _in_range(outer) else _cut(together)


def _cut(rings: list[Ring]) -> list[list[Ring]]:
    # the few footprints that cross are worth an import that the others do without
    import shapely

    area = shapely.make_valid(shapely.Polygon(rings[0], rings[1:]))
    first, last = (int((lon + 180) // 360) for lon in (area.bounds[0], area.bounds[2]))
    found: list[list[Ring]] = []
    for turn in sorted(range(first, last + 1), key=abs):
        part = area.intersection(shapely.box(360 * turn - 180, -POLE, 360 * turn + 180, POLE))
        # what only touches the antimeridian leaves nothing but a line on its other side
        for piece in (one for one in shapely.get_parts(part) if isinstance(one, shapely.Polygon) and one.area):
            sides = [piece.exterior, *piece.interiors]
            found.append([_moved([(lon, lat) for lon, lat in side.coords], -turn) for side in sides])
    return found or [[_moved(ring, -first) for ring in rings]]


def _turns(outer: Ring, hole: Ring) -> int:
    """Whole turns by which a hole has to move to be where its polygon is."""
    middle, own = (sum(lon for lon, _ in ring) / len(ring) for ring in (outer, hole))
    return round((middle - own) / 360)


def _moved(ring: Ring, turns: int) -> Ring:
    return [(lon + 360 * turns, lat) for lon, lat in ring]


def _in_range(ring: Ring) -> bool:
    return all(-180 <= lon <= 180 for lon, _ in ring)


def _unwrap(points: Sequence[Point]) -> Ring:
    """Shift longitudes by whole turns so that no step is longer than half a turn."""
    ring: Ring = [points[0]]
    for lon, lat in points[1:]:
        before = ring[-1][0]
        turns = round((before - lon) / 360)
        ring.append((lon + 360 * turns, lat))
    return ring


def _closed(ring: Ring) -> Ring:
    return ring if ring[0] == ring[-1] else [*ring, ring[0]]


def _without_repeats(points: Sequence[Point]) -> Ring:
    return [point for index, point in enumerate(points) if index == 0 or point != points[index - 1]]
