"""STAC items as a source: how they are read, and those of static catalogues on disk."""

from dataclasses import dataclass

from agri_assets.errors import SceneError
from agri_assets.scenes.listing import Listed, Listing, SceneRef, require
from agri_assets.scenes.naming import CLASSIFICATION, utc_time
from agri_assets.scenes.narrow import narrow
from agri_assets.scenes.record import SceneRecord
from agri_assets.scenes.settings import FoundScenes, StacCatalogSource
from agri_assets.scenes.stac import item_stamp, record_of
from agri_assets.scenes.stac_catalog import find_items
from agri_assets.scenes.stac_document import StacItem, open_item
from agri_assets.scenes.stac_download import Copies
from agri_assets.scenes.stac_place import item_tile, require_place
from agri_assets.scenes.stac_rasters import believe_rasters
from agri_assets.scenes.wanted import below_cloud, in_dates
from agri_assets.store.fingerprint import fingerprint


@dataclass(frozen=True)
class ItemReader:
    """How a collection reads items: which bands, signed how, in place or from copies.

    Attributes:
        bands: The collection's; no other raster is opened or copied.
        sign: How addresses are signed; by their host where it is None.
        copies: Where bands are copied to before they are read; None where they are read in place.
    """

    bands: tuple[str, ...]
    sign: str | None = None
    copies: Copies | None = None

    def read(self, item: StacItem) -> SceneRecord:
        """The scene's record on the grid that its rasters have, remote ones included.

        Raises:
            SceneError: It cannot be used.
        """
        record = self._narrowed(item)
        return require_place(believe_rasters(self.copies.place(record, item) if self.copies else record), item)

    def fetch(self, item: StacItem, record: SceneRecord) -> SceneRecord:
        """The record as it is read from now on: from copies where the collection wants them.

        Raises:
            SceneError: A band cannot be had.
        """
        return self.copies.make(record, item) if self.copies else record

    def stamp(self, item: StacItem, tile: str) -> str:
        """Changes when what the item says does, one of its files on disk, or a copy is lost."""
        lost = self.copies.lost(tile, item, (*self.bands, CLASSIFICATION)) if self.copies else ()
        return fingerprint(item=item_stamp(item), lost=lost) if lost else item_stamp(item)

    def _narrowed(self, item: StacItem) -> SceneRecord:
        record = record_of(item, self.sign)
        for band in self.bands:
            if band not in record.bands:
                keys = ", ".join(item.assets)
                raise SceneError(
                    f"{item.location}: no asset for band {band} (its assets: {keys}); use another collection of items "
                    f"or drop {band}"
                )
        return narrow(record, self.bands)


@dataclass(frozen=True)
class StacOnDisk(Listed):
    """Items of a static STAC catalogue, or of a folder of item files."""

    settings: StacCatalogSource
    reader: ItemReader

    @property
    def wanted(self) -> tuple[str, ...]:  # type: ignore[override]
        """Tiles that the collection is limited to."""
        return self.settings.tiles

    def _find(self) -> Listing:
        require(self.settings.path, "a catalog.json or a folder of items")
        paths, unread = find_items(self.settings.path)
        refs: dict[str, SceneRef] = {}
        strays = []
        for path in paths:
            item = open_item(path)
            if not in_limits(item, self.settings):
                continue
            name = item.name if item.name not in refs else item.location
            if tile := item_tile(item.document):
                refs[name] = SceneRef(name, item.location, tile)
            else:
                strays.append(f"{path}: the item does not tell an MGRS tile; left out")
        return Listing(tuple(refs.values()), (*unread, *strays))

    def stamp(self, ref: SceneRef) -> str:
        """See `SceneSource`."""
        return self.reader.stamp(open_item(ref.location), ref.tile)

    def read(self, ref: SceneRef) -> SceneRecord:
        """See `SceneSource`."""
        return self.reader.read(open_item(ref.location))

    def fetch(self, ref: SceneRef, record: SceneRecord) -> SceneRecord:
        """See `SceneSource`."""
        return self.reader.fetch(open_item(ref.location), record)


def in_limits(item: StacItem, settings: FoundScenes) -> bool:
    """Whether an item is within days and cloud cover, as far as it says: before anything of its scene is opened."""
    acquired, cover = item.properties.get("datetime"), item.properties.get("eo:cloud_cover")
    try:
        in_days = acquired is None or in_dates(utc_time(str(acquired), item.location), settings.dates)
        return in_days and below_cloud(None if cover is None else float(cover), settings.max_cloud)
    except (SceneError, TypeError, ValueError):
        # an item that is broken is listed, and refused with its reason when it is read
        return True
