"""Where the images of an archive lie: pixel grids, read from files or built from names, to outlines on the ground."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from shapely.geometry import shape

from agri_assets.cube.archive_names import RESOLUTION_M, Cut, Point
from agri_assets.errors import ArchiveError, first_line
from agri_assets.scenes.footprint import polygon
from agri_assets.scenes.record import Affine
from agri_assets.scenes.tile_grid import nominal_grid

Floats = npt.NDArray[np.float64]

METRES_PER_DEGREE = 111_320.0
"""Of a great circle on the WGS 84 equator: 2 pi 6378137 / 360; at most 0.6 % more than any other degree."""

POLAR = 84.0
"""Beyond this latitude UTM zones end (in the south at 80, where there is no Sentinel-2 land acquisition either)."""

FINEST_M = 0.1
"""Least pixel edge on the ground; what is finer is no picture from above, and a grid of no size lies beside all."""

WIDEST_M = 200_000.0
"""Longest diagonal of an image; a whole Sentinel-2 tile of 109.8 km has 155 km."""

WHOLE_SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
"""Corners of a pixel grid as shares of its width and height, closed."""


@dataclass(frozen=True)
class Place:
    """The pixel grid of one image: a CRS and the affine coefficients of its upper-left corner."""

    crs: str
    transform: Affine


@dataclass(frozen=True)
class Outlines:
    """Where images lie.

    Attributes:
        shape: Outlines, EPSG:4326, cut at the antimeridian; None where nothing is known.
        lon: Longitude of the centres; NaN where nothing is known.
        lat: Latitude of the centres.
        span: Longest diagonals in metres.
    """

    shape: npt.NDArray[np.object_]
    lon: Floats
    lat: Floats
    span: Floats


def named_places(facts: Sequence[Point | Cut | None], tile_size: int) -> list[Place | None]:
    """Pixel grids of images whose names tell where they lie, `tile_size` pixels of 10 m wide.

    The square around a point is cut along its UTM zone, and as much wider as the digits of the point leave open.
    """
    places: list[Place | None] = [_cut_place(fact, tile_size) if isinstance(fact, Cut) else None for fact in facts]
    points = [(number, fact) for number, fact in enumerate(facts) if isinstance(fact, Point)]
    zones = np.array([utm(point.lon, point.lat) for _, point in points])
    for zone in np.unique(zones):
        members = [points[k] for k in np.flatnonzero(zones == zone)]
        to_zone = Transformer.from_crs("EPSG:4326", str(zone), always_xy=True)
        x, y = to_zone.transform([point.lon for _, point in members], [point.lat for _, point in members])
        for (number, point), east, north in zip(members, x, y, strict=True):
            half = tile_size * RESOLUTION_M / 2 + point.step * METRES_PER_DEGREE
            edge = 2 * half / tile_size
            places[number] = Place(str(zone), (edge, 0.0, east - half, 0.0, -edge, north + half))
    return places


def utm(lon: float, lat: float) -> str:
    """The UTM zone of a point, such as `EPSG:32633`; the polar grids beyond 84 degrees."""
    if abs(lat) > POLAR:
        return "EPSG:32661" if lat > 0 else "EPSG:32761"
    return f"EPSG:{(32600 if lat >= 0 else 32700) + min(int((lon + 180) // 6) + 1, 60)}"


def outlines(places: Sequence[Place | None], names: Sequence[str], tile_size: int) -> Outlines:
    """Outlines and centres of images on the ground.

    Args:
        places: Their pixel grids.
        names: Their names, for messages.
        tile_size: Their edge in pixels.

    Returns:
        What is known: nothing of a pixel grid too small (`FINEST_M`) or too wide (`WIDEST_M`) to be an image's.

    Raises:
        ArchiveError: A CRS cannot be read, or puts an image nowhere on Earth.
    """
    shapes, lon, lat, span = np.full(len(places), None, dtype=object), *np.full((3, len(places)), np.nan)
    crs = np.array([place.crs if place else "" for place in places], dtype=object)
    for one in sorted(set(crs) - {""}):
        rows = np.flatnonzero(crs == one)
        grids = np.array([place.transform for place in places if place and place.crs == one])
        shares = np.concatenate([WHOLE_SQUARE, [[0.5, 0.5]]]) * tile_size
        x = grids[:, :1] * shares[:, 0] + grids[:, 1:2] * shares[:, 1] + grids[:, 2:3]
        y = grids[:, 3:4] * shares[:, 0] + grids[:, 4:5] * shares[:, 1] + grids[:, 5:6]
        degrees = _degrees(one, x, y, names[rows[0]])
        if len(nowhere := np.flatnonzero(~_on_earth(degrees))):
            raise ArchiveError(
                f"{names[rows[nowhere[0]]]}: its CRS and transform put it nowhere on Earth; correct them"
            )
        pixel, diagonal = _size(degrees[:, :4], tile_size)
        sound = (pixel >= FINEST_M) & (diagonal <= WIDEST_M)
        rows, degrees = rows[sound], degrees[sound]
        shapes[rows] = [_outline(ring) for ring in degrees[:, :5]]
        lon[rows], lat[rows], span[rows] = degrees[:, 5, 0], degrees[:, 5, 1], diagonal[sound]
    return Outlines(shapes, lon, lat, span)


def apart(one: Outlines, other: Outlines) -> Floats:
    """Metres between centres along great circles (haversine on a sphere); NaN where either is not known."""
    lon, lat, lon2, lat2 = (np.radians(values) for values in (one.lon, one.lat, other.lon, other.lat))
    half = np.sin((lat2 - lat) / 2) ** 2 + np.cos(lat) * np.cos(lat2) * np.sin((lon2 - lon) / 2) ** 2
    radius = METRES_PER_DEGREE * 180 / math.pi
    return np.asarray(2 * radius * np.arcsin(np.sqrt(np.clip(half, 0, 1))))


def _cut_place(cut: Cut, tile_size: int) -> Place:
    grid = nominal_grid(cut.tile, RESOLUTION_M)
    left, _, _, top = grid.position_bounds(cut.row, cut.col, tile_size)
    return Place(grid.crs, (RESOLUTION_M, 0.0, left, 0.0, -RESOLUTION_M, top))


def _degrees(crs: str, x: Floats, y: Floats, name: str) -> Floats:
    """Longitude and latitude of points, with longitudes from -180 to 180."""
    try:
        lon, lat = Transformer.from_crs(CRS.from_user_input(crs), "EPSG:4326", always_xy=True).transform(x, y)
    except ProjError as error:
        problem = first_line(error)
        raise ArchiveError(f"{name}: its CRS {crs[:60]!r} cannot be used ({problem}); write an EPSG code") from None
    east = np.asarray(lon)
    # a geographic CRS may count from 0 to 360
    east = np.where(np.isfinite(east) & (np.abs(east) > 180), np.mod(np.nan_to_num(east) + 180, 360) - 180, east)
    return np.stack([east, np.asarray(lat)], axis=-1)


def _on_earth(degrees: Floats) -> npt.NDArray[np.bool_]:
    return np.asarray(np.isfinite(degrees).all(axis=(1, 2)) & (np.abs(degrees[..., 1]) <= 90).all(axis=1))


def _size(corners: Floats, tile_size: int) -> tuple[Floats, Floats]:
    """Lesser pixel edge and longest diagonal in metres, of images by longitude and latitude of their corners."""
    lon, lat = np.radians(corners[..., 0]), np.radians(corners[..., 1])
    # chords of a sphere will do: half a percent decides nothing here
    earth = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
    earth *= METRES_PER_DEGREE * 180 / math.pi
    across, down = earth[:, 1] - earth[:, 0], earth[:, 3] - earth[:, 0]
    edge = np.maximum(np.linalg.norm(across, axis=1), np.linalg.norm(down, axis=1))
    area = np.linalg.norm(np.cross(across, down), axis=1)
    # the height over the longest edge is what a skewed grid has of width
    height = np.divide(area, edge, out=np.zeros_like(edge), where=edge > 0)
    diagonal = np.linalg.norm(earth[:, [2, 3]] - earth[:, [0, 1]], axis=2).max(axis=1)
    return height / tile_size, diagonal


def _outline(ring: Floats) -> shapely.Geometry:
    if np.ptp(ring[:, 0]) < 180:
        return shapely.Polygon(ring)
    return shape(polygon([(float(lon), float(lat)) for lon, lat in ring]))
