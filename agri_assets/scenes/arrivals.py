"""What is new in a source since the inventories were taken: told by listing alone, so many tiles at a time."""

from collections.abc import Collection as Several
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agri_assets.config import Collection
from agri_assets.errors import StoreError
from agri_assets.scenes.catalog import CatalogTile, read_catalog
from agri_assets.scenes.inventory import list_scenes
from agri_assets.scenes.settings import StacSource
from agri_assets.scenes.source import open_source
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import read_outcome

MOST_TILES = 500
"""Tiles that one look takes: a second or two of listing."""

MOST_SEARCHES = 5
"""The same where each tile is a search at a provider."""


@dataclass(frozen=True)
class Arrivals:
    """What one look at a source found.

    Attributes:
        unknown: Tiles that the source has and the catalogue lacks, or holds for retired.
        changed: Tiles whose scenes are not those of their inventory, with the version of what is there now.
        last: The last tile whose turn it was; the next look goes on behind it.
        looked: How many tiles were looked at.
    """

    unknown: tuple[str, ...]
    changed: Mapping[str, str]
    last: str
    looked: int


def look_for_arrivals(
    collection: Collection, paths: CollectionPaths, after: str = "", again: Several[str] = ()
) -> Arrivals:
    """Compare the source with the inventories of some tiles.

    A search in a STAC API is made tile by tile and tells nothing of tiles that the catalogue lacks: materialising
    `tile_catalog` does.

    Args:
        collection: Whose source.
        paths: Where its outputs are.
        after: Tiles behind this one are looked at, and around the end.
        again: Tiles that are looked at besides.

    Raises:
        SceneError: The source is missing, or the collection is an archive.
        RemoteError: A provider does not answer.
    """
    source = open_source(collection, paths)
    source.prepare()
    known = {tile.tile: tile for tile in _catalogued(paths) if tile.active}
    searched = isinstance(collection.source, StacSource)
    there = set(known) if searched else set(source.tiles())
    both = sorted(there & set(known))
    turn = _turn(both, after, MOST_SEARCHES if searched else MOST_TILES)
    looked = sorted({*turn, *(tile for tile in again if tile in both)})
    versions = {tile: list_scenes(collection, source, tile, known[tile].grid) for tile in looked}
    changed = {
        tile: listed.version
        for tile, listed in versions.items()
        if listed.refs and listed.version != _recorded(paths, tile)
    }
    return Arrivals(tuple(sorted(there - set(known))), changed, turn[-1] if turn else "", len(looked))


def _catalogued(paths: CollectionPaths) -> tuple[CatalogTile, ...]:
    return read_catalog(paths) if paths.catalog.exists() else ()


def _turn(tiles: Sequence[str], after: str, most: int) -> list[str]:
    """At most so many tiles, those behind `after` first."""
    behind = [tile for tile in tiles if tile > after]
    return [*behind, *(tile for tile in tiles if tile <= after)][:most]


def _recorded(paths: CollectionPaths, tile: str) -> str:
    """The version that the tile's inventory is of; nothing where there is none, or none that can be read."""
    try:
        return read_outcome(paths.receipt("raw_scenes", tile)).fingerprint
    except StoreError:
        return ""
