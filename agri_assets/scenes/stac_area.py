"""The area of a search as one GeoJSON geometry in EPSG:4326, cut at the antimeridian."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import shapely
from rasterio.warp import transform as transform_points
from shapely.affinity import translate
from shapely.errors import ShapelyError
from shapely.geometry import box, shape
from shapely.geometry.base import BaseGeometry

from agri_assets.errors import SceneError
from agri_assets.scenes.footprint import polygon
from agri_assets.scenes.naming import tile_name
from agri_assets.scenes.settings import StacSource
from agri_assets.scenes.stac_document import Json, read_json_document
from agri_assets.scenes.tile_grid import TILE_EDGE_M, nominal_grid

EDGE_POINTS = 9
"""Points along each edge of a tile: an edge of 110 km bows by less than 100 m between two of them."""

GEOGRAPHIC = ("CRS84", "EPSG::4326", "EPSG:4326")
"""What a GeoJSON file's `crs`, which RFC 7946 no longer has, may say."""


def search_area(settings: StacSource, tile: str | None = None) -> BaseGeometry:
    """The area that a source searches: of one tile, or the whole.

    Args:
        settings: The source's.
        tile: Limits the area to this tile's footprint.

    Raises:
        SceneError: The area's file is no GeoJSON in degrees, or a name is no MGRS tile.
    """
    drawn = _drawn_area(settings)
    if tile is None:
        footprints = [tile_footprint(tile_name(one)) for one in settings.tiles]
        return shapely.unary_union(footprints) if drawn is None else drawn
    footprint = tile_footprint(tile)
    both = footprint if drawn is None else footprint.intersection(drawn)
    # a product may reach a little beyond its tile's footprint; then the tile itself is what is meant
    return footprint if both.is_empty else both


def tile_footprint(tile: str) -> BaseGeometry:
    """The ground of a tile by its name alone.

    Raises:
        SceneError: The name is no MGRS tile.
    """
    grid = nominal_grid(tile, TILE_EDGE_M)
    left, bottom, right, top = grid.bounds
    along = np.linspace(0.0, 1.0, EDGE_POINTS)
    up, down = bottom + along * (top - bottom), top + along * (bottom - top)
    east, west = left + along * (right - left), right + along * (left - right)
    xs = np.concatenate([np.full_like(along, left), east, np.full_like(along, right), west])
    ys = np.concatenate([up, np.full_like(along, top), down, np.full_like(along, bottom)])
    longitudes, latitudes = transform_points(grid.crs, "EPSG:4326", xs.tolist(), ys.tolist())
    return shape(polygon(list(zip(longitudes, latitudes, strict=True))))


def area_of_file(path: Path) -> BaseGeometry:
    """The ground that a GeoJSON file covers: a geometry, a feature or a collection of either.

    Raises:
        SceneError: It is none of these, is empty, or is not in degrees.
    """
    document = read_json_document(path)
    named = str(document.get("crs", GEOGRAPHIC[0]))
    if not any(known in named for known in GEOGRAPHIC):
        raise SceneError(f"{path}: its coordinates are in {named}; reproject the area to EPSG:4326")
    try:
        area = shapely.make_valid(shapely.unary_union([shape(dict(one)) for one in _geometries(document)]))
    except (ShapelyError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise SceneError(f"{path}: not a GeoJSON area ({' '.join(str(error).split())}); name one") from None
    if area.is_empty:
        raise SceneError(f"{path}: the area is empty; draw one, or name tiles or a bbox")
    west, south, east, north = area.bounds
    if south < -90 or north > 90 or west < -360 or east > 360:
        raise SceneError(f"{path}: its coordinates are not degrees; reproject the area to EPSG:4326")
    return _around_the_world(area)


def _drawn_area(settings: StacSource) -> BaseGeometry | None:
    parts = []
    if settings.bbox is not None:
        west, south, east, north = settings.bbox
        parts.append(_around_the_world(box(west, south, east + 360 if east < west else east, north)))
    if settings.area is not None:
        parts.append(area_of_file(settings.area))
    return shapely.intersection_all(parts) if parts else None


def _around_the_world(area: BaseGeometry) -> BaseGeometry:
    """Longitudes beyond 180 degrees brought back, which cuts the area at the antimeridian."""
    worlds = [(turn, area.intersection(box(turn - 180, -90, turn + 180, 90))) for turn in (-360, 0, 360)]
    parts = [translate(part, xoff=-turn) for turn, part in worlds if not part.is_empty]
    return shapely.unary_union([part for part in parts if part.area or not area.area])


def _geometries(document: Json) -> Iterable[Json]:
    match document.get("type"):
        case "FeatureCollection":
            for feature in document["features"]:
                yield from _geometries(feature)
        case "Feature":
            yield from _geometries(document["geometry"] or {})
        case "GeometryCollection":
            for geometry in document["geometries"]:
                yield from _geometries(geometry)
        case None:
            return
        case _:
            yield document
