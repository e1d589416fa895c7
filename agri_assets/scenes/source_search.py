"""A search in a STAC API as a source."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import urlsplit, urlunsplit

from agri_assets.errors import SceneError
from agri_assets.redact import redacted
from agri_assets.remote.address import is_remote, without_signature
from agri_assets.scenes.listing import Listing, SceneRef
from agri_assets.scenes.naming import tile_name
from agri_assets.scenes.record import SceneRecord
from agri_assets.scenes.settings import StacSource
from agri_assets.scenes.source_stac import ItemReader, in_limits
from agri_assets.scenes.stac_document import Json, StacItem, as_item, open_item
from agri_assets.scenes.stac_place import item_tile


@dataclass(frozen=True)
class StacSearch:
    """Items that a STAC API finds in an area.

    The whole area is searched once, for its tiles; the scenes of a tile are searched on that tile's own ground.
    """

    settings: StacSource
    reader: ItemReader
    items: dict[str, StacItem] = field(default_factory=dict)

    def prepare(self) -> None:
        """Nothing to do: the scenes are elsewhere."""

    @cached_property
    def whole(self) -> Listing:
        """What the whole area holds; only names are kept, since an area may hold a hundred thousand items."""
        strays: list[str] = []
        refs = {
            item.location: SceneRef(item.name, item.location, tile)
            for item, tile in self._search(None, strays)
            if self._is_wanted(tile)
        }
        if not refs:
            strays.append(self._nothing())
        return Listing(tuple(refs.values()), tuple(strays))

    def tiles(self) -> tuple[str, ...]:
        """See `SceneSource`."""
        return self.whole.tiles(self.settings.tiles)

    def strays(self) -> tuple[str, ...]:
        """See `SceneSource`."""
        return self.whole.strays

    def scenes(self, tile: str) -> tuple[SceneRef, ...]:
        """See `SceneSource`."""
        if "whole" in self.__dict__:
            return self.whole.of(tile)
        found = {item.location: item for item, where in self._search(tile, []) if where == tile}
        self.items.update(found)
        refs = (SceneRef(item.name, location, tile) for location, item in found.items())
        return tuple(sorted(refs, key=lambda ref: ref.name))

    def stamp(self, ref: SceneRef) -> str:
        """See `SceneSource`."""
        return self.reader.stamp(self._item(ref), ref.tile)

    def read(self, ref: SceneRef) -> SceneRecord:
        """See `SceneSource`."""
        return self.reader.read(self._item(ref))

    def fetch(self, ref: SceneRef, record: SceneRecord) -> SceneRecord:
        """See `SceneSource`."""
        return self.reader.fetch(self._item(ref), record)

    def _item(self, ref: SceneRef) -> StacItem:
        if ref.location not in self.items:
            self.items[ref.location] = open_item(ref.location)
        return self.items[ref.location]

    def _search(self, tile: str | None, strays: list[str]) -> Iterator[tuple[StacItem, str]]:
        """Items and their tiles, limited here again to days and cloud cover; what is none of that goes to `strays`."""
        # only searches need pystac-client and shapely
        from agri_assets.remote.http import quieten
        from agri_assets.scenes.stac_api import search_items
        from agri_assets.scenes.stac_area import search_area

        quieten()
        for document in search_items(self.settings, search_area(self.settings, tile)):
            try:
                item = as_item(document, self._address(document))
            except SceneError as error:
                strays.append(str(error))
                continue
            if not in_limits(item, self.settings):
                continue
            if found := item_tile(item.document):
                yield item, found
            else:
                strays.append(f"{item.location}: the item does not tell an MGRS tile; left out")

    def _address(self, document: Json) -> str:
        """The item's own address: what its `self` link says, else where the API must have it."""
        for link in document.get("links") or ():
            href = link.get("href") if isinstance(link, dict) and link.get("rel") == "self" else None
            if isinstance(href, str) and is_remote(href):
                return href
        api = urlsplit(without_signature(self.settings.path))
        path = f"{api.path.rstrip('/')}/collections/{self.settings.collection}/items/{document.get('id')}"
        return urlunsplit(api._replace(path=path))

    def _is_wanted(self, tile: str) -> bool:
        return not self.settings.tiles or tile in {tile_name(one) for one in self.settings.tiles}

    def _nothing(self) -> str:
        from agri_assets.scenes.stac_api import asked, where

        return (
            f"{redacted(self.settings.path)}: found no {asked(self.settings, where(self.settings))}; widen the search"
        )
