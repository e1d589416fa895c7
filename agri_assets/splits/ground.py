"""Ground as the proof sees it: outlines in degrees from the tile indexes, on a plane around each tile.

Neither grids nor UTM zones are used, and nothing of the assigner is imported.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from agri_assets.splits.rows import numbers

EARTH_RADIUS_M = 6_371_008.8
"""Mean radius of the Earth (IUGG)."""

SLACK = 1.005
"""A sphere's distances are wrong by up to half a percent."""

COVER_TOLERANCE = 1e-9
"""Relative. A union that has another area than its parts together was made of parts that overlap."""

Shapes = NDArray[np.object_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LocalPlane:
    """An azimuthal-equidistant plane on the WGS 84 ellipsoid; within 100 km of its centre it is true to 1e-4."""

    projection: Transformer
    lon: float
    lat: float

    @classmethod
    def around(cls, shapes: Shapes) -> "LocalPlane":
        """The plane centred on a corner of one of these footprints."""
        # a corner: the centroid of a footprint cut at 180 degrees lies on the other side of the Earth
        lon, lat = shapely.get_coordinates(shapes[len(shapes) // 2])[0].tolist()
        target = f"+proj=aeqd +lat_0={lat!r} +lon_0={lon!r} +datum=WGS84 +units=m"
        return cls(Transformer.from_crs("EPSG:4326", target, always_xy=True), lon, lat)

    def project(self, shapes: Shapes) -> Shapes:
        """Footprints on the plane, in metres."""
        coordinates = shapely.get_coordinates(shapes)
        x, y = self.projection.transform(coordinates[:, 0], coordinates[:, 1])
        return np.asarray(shapely.set_coordinates(shapes.copy(), np.stack([x, y], axis=1)), dtype=object)


@dataclass(frozen=True)
class Cover:
    """All ground that the positions of one tile cover, used or not.

    Attributes:
        shape: Rows and columns of positions.
        area: The ground, longitude and latitude: the union of the outlines.
        middle: A point of it, as a unit vector from the Earth's centre.
        radius_m: No point of it is farther from there, along the ground.
    """

    shape: tuple[int, int]
    area: shapely.Geometry
    middle: Floats
    radius_m: float

    @classmethod
    def of(cls, blocks: Iterable[pa.RecordBatch]) -> "Cover | None":
        """The cover of a tile from the columns `row`, `col` and `geometry` of its index; None if that has no row."""
        seen, shapes = _Seen(), []
        for block in blocks:
            row, col = (numbers(block, name, np.int32) for name in ("row", "col"))
            shapes.append(outlines(block, seen.first(row, col)))
        if not seen.known.size:
            return None
        area = _union(np.concatenate(shapes))
        corners = _vectors(shapely.get_coordinates(area))
        middle = corners.mean(axis=0)
        middle /= np.linalg.norm(middle)
        return cls(seen.shape, area, middle, float(_arc_m(corners, middle).max()))


def neighbourhoods(covers: Mapping[str, Cover], reach_m: float) -> dict[str, list[str]]:
    """For each tile the others whose ground may lie within reach of its own; may name too many."""
    names = list(covers)
    middles = np.stack([cover.middle for cover in covers.values()])
    radii = np.array([cover.radius_m for cover in covers.values()])
    near = {}
    for place, name in enumerate(names):
        meets = _arc_m(middles, middles[place]) <= (radii + radii[place] + reach_m) * SLACK
        near[name] = [names[k] for k in np.flatnonzero(meets) if k != place]
    return near


class _Seen:
    """Tells which rows are the first about their position; the array grows as rows of positions come."""

    def __init__(self) -> None:
        self.known = np.zeros((0, 0), dtype=bool)

    @property
    def shape(self) -> tuple[int, int]:
        return self.known.shape[0], self.known.shape[1]

    def first(self, row: NDArray[np.int32], col: NDArray[np.int32]) -> NDArray[np.intp]:
        """Places of the rows about positions that did not come before."""
        grown = [max(size, int(axis.max(initial=-1)) + 1) for size, axis in zip(self.shape, (row, col), strict=True)]
        self.known = np.pad(self.known, [(0, new - old) for new, old in zip(grown, self.shape, strict=True)])
        return first_of(self.known, row, col)


def first_of(
    known: NDArray[np.bool_], row: NDArray[np.int32], col: NDArray[np.int32], wanted: NDArray[np.bool_] | None = None
) -> NDArray[np.intp]:
    """Places of the (wanted) rows about positions that are not yet known, one each; they are known from then on."""
    new = ~known[row, col] if wanted is None else wanted & ~known[row, col]
    rows = np.flatnonzero(new)
    _, places = np.unique(row[rows].astype(np.int64) * known.shape[1] + col[rows], return_index=True)
    known[row[rows], col[rows]] = True
    return rows[places]


def outlines(block: pa.RecordBatch, rows: NDArray[np.intp]) -> Shapes:
    """Outlines of some rows, EPSG:4326."""
    wkb = block.column("geometry").take(pa.array(rows)).to_numpy(zero_copy_only=False)
    return np.asarray(shapely.from_wkb(wkb), dtype=object)


def _union(shapes: Shapes) -> shapely.Geometry:
    """All ground of the outlines; those of a grid meet corner by corner, which is ten times as fast to unite."""
    fast, total = shapely.coverage_union_all(shapes), float(shapely.area(shapes).sum())
    sound = fast.is_valid and math.isclose(fast.area, total, rel_tol=COVER_TOLERANCE)
    return fast if sound else shapely.union_all(shapes)


def _vectors(degrees: Floats) -> Floats:
    """Unit vectors from the Earth's centre, (n, 3), of longitudes and latitudes, (n, 2)."""
    lon, lat = np.radians(degrees).T
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


def _arc_m(vectors: Floats, middle: Floats) -> Floats:
    """Metres along the ground of a sphere from a point."""
    return np.asarray(EARTH_RADIUS_M * 2 * np.arcsin(np.clip(np.linalg.norm(vectors - middle, axis=1) / 2, 0, 1)))
