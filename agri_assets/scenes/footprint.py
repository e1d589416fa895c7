"""Footprints as GeoJSON, cut at the antimeridian as RFC 7946 (section 3.1.9) asks."""

import itertools
from collections.abc import Sequence

Point = tuple[float, float]
Ring = list[Point]


def polygon(points: Sequence[Point]) -> dict[str, object]:
    """A GeoJSON Polygon of (longitude, latitude) points, or a MultiPolygon where it crosses the antimeridian.

    Two neighbouring points more than 180 degrees apart are taken to be joined across it.
    """
    ring = _unwrap(_without_repeats(points))
    if ring[0] != ring[-1]:
        ring.append(ring[0])
    west, east = min(lon for lon, _ in ring), max(lon for lon, _ in ring)
    if west >= -180 and east <= 180:
        return {"type": "Polygon", "coordinates": [ring]}
    seam = 180.0 if east > 180 else -180.0
    inner, outer = _clip(ring, seam, keep_east=seam < 0), _clip(ring, seam, keep_east=seam > 0)
    moved = [(lon - 2 * seam, lat) for lon, lat in outer]
    # what only touches the antimeridian leaves nothing but a line on its other side
    parts = [[part] for part in (inner, moved) if len(part) > 3 and len({lon for lon, _ in part}) > 1]
    if len(parts) == 1:
        return {"type": "Polygon", "coordinates": parts[0]}
    return {"type": "MultiPolygon", "coordinates": parts}


def _unwrap(points: Sequence[Point]) -> Ring:
    """Shift longitudes by whole turns so that no step is longer than half a turn."""
    ring: Ring = [points[0]]
    for lon, lat in points[1:]:
        before = ring[-1][0]
        turns = round((before - lon) / 360)
        ring.append((lon + 360 * turns, lat))
    return ring


def _clip(ring: Ring, meridian: float, keep_east: bool) -> Ring:
    """The part of a closed ring on one side of a meridian (Sutherland and Hodgman's clipping, one edge)."""

    def inside(point: Point) -> bool:
        return point[0] >= meridian if keep_east else point[0] <= meridian

    kept: Ring = []
    for start, end in itertools.pairwise(ring):
        if inside(start) != inside(end):
            share = (meridian - start[0]) / (end[0] - start[0])
            crossing = (meridian, start[1] + share * (end[1] - start[1]))
            kept += [crossing, end] if inside(end) else [crossing]
        elif inside(end):
            kept.append(end)
    return _without_repeats([*kept, kept[0]]) if kept else []


def _without_repeats(points: Sequence[Point]) -> Ring:
    return [point for index, point in enumerate(points) if index == 0 or point != points[index - 1]]
