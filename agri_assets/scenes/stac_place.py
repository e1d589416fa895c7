"""Which tile an item shows: all its statements must name one, and its pixels and its geometry must lie there."""

from collections.abc import Iterator

from agri_assets.errors import SceneError
from agri_assets.scenes.agreement import Stated, one_tile
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.naming import native_resolution, tile_in
from agri_assets.scenes.record import SceneRecord
from agri_assets.scenes.stac_document import Json, StacItem
from agri_assets.scenes.tile_grid import nominal_grid

NAMING = ("s2:product_uri", "s2:tile_id", "s2:granule_id")
"""Properties that carry ESA's own names, and with them the tile."""

ADVICE = "correct the item, or leave it out"


def item_tile(item: Json) -> str | None:
    """The MGRS tile of an item, from the fields that providers use, else from its names; see `agreed_tile`."""
    return next((tile for _, _, tile in _statements(item)), None)


def agreed_tile(item: StacItem) -> str:
    """The MGRS tile that every statement of an item names.

    Raises:
        SceneError: None of them names one, or two exclude each other.
    """
    named = list(_statements(item.document))
    if not named:
        raise SceneError(f"{item.location}: no grid:code, s2:mgrs_tile or tile in the id; cannot tell its MGRS tile")
    statements = [(Stated(what, said), tile) for what, said, tile in named]
    return one_tile(item.location, statements, ADVICE)


def require_place(record: SceneRecord, item: StacItem) -> SceneRecord:
    """The record, if its grid and its footprint are where its tile is.

    Args:
        record: Of the item, on its rasters' grid where these are known.
        item: For what it says of its tile.

    Raises:
        SceneError: They are elsewhere; both sides quoted.
    """
    what, said, tile = next(_statements(item.document))
    where = f"{item.location}: metadata contradict each other: {what} is {said[:120]!r}, tile {tile}"
    try:
        whole = nominal_grid(tile, native_resolution("B02"))
    except SceneError as error:
        raise SceneError(f"{item.location}: {what} is {said[:120]!r}: {error}") from None
    own = TileGrid.of(record)
    if own.crs.upper() != whole.crs or not _within(own, whole):
        raise SceneError(f"{where}, which is {whole.shown}, but its pixels are on {own.shown}; {ADVICE}")
    if not _meets(record, tile):
        raise SceneError(f"{where}, which its geometry does not meet; {ADVICE}")
    return record


def _statements(item: Json) -> Iterator[tuple[str, str, str]]:
    """(field, what it says, the tile in that) of all that name one."""
    properties = item["properties"]
    parts = [properties.get(f"mgrs:{field}") for field in ("utm_zone", "latitude_band", "grid_square")]
    stated = {
        "grid:code": properties.get("grid:code"),
        "s2:mgrs_tile": properties.get("s2:mgrs_tile"),
        "mgrs:utm_zone, latitude_band, grid_square": "".join(map(str, parts)),
        "id": item.get("id"),
        **{field: properties.get(field) for field in NAMING},
    }
    for field, value in stated.items():
        if isinstance(value, str) and (tile := tile_in(value)):
            yield field, value, tile


def _within(own: TileGrid, whole: TileGrid) -> bool:
    """Whether a grid is inside the tile but for one pixel of its own, since coarse pixels need not divide the tile."""
    (left, bottom, right, top), (west, south, east, north) = own.bounds, whole.bounds
    slack = own.resolution
    return left >= west - slack and bottom >= south - slack and right <= east + slack and top <= north + slack


def _meets(record: SceneRecord, tile: str) -> bool:
    # both are cut at the antimeridian alike
    import shapely
    from shapely.geometry import shape

    from agri_assets.scenes.stac_area import tile_footprint

    try:
        return bool(tile_footprint(tile).intersects(shapely.make_valid(shape(record.footprint))))
    except (shapely.errors.ShapelyError, ValueError, TypeError, LookupError) as error:
        reason = " ".join(str(error).split())
        raise SceneError(f"{record.location}: its geometry is no polygon ({reason}); {ADVICE}") from None
