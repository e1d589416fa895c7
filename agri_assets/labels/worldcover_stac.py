"""WorldCover in STAC: the items over a tile, and the asset of an item that holds the map."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import shapely

from agri_assets.errors import LabelError
from agri_assets.labels.damage import as_label_error
from agri_assets.labels.degrees import Degrees
from agri_assets.labels.settings import WorldCoverLabels
from agri_assets.remote.address import is_remote
from agri_assets.remote.client import client
from agri_assets.remote.signing import signer_for
from agri_assets.scenes.settings import StacSource
from agri_assets.scenes.stac_api import search_items
from agri_assets.scenes.stac_document import StacItem, as_item, is_item, open_item

MAP_ASSET = "map"
"""Key of the classes' asset in the collections that ESA's partners publish."""


def item_map(path: Path) -> str:
    """The map of a STAC item on disk: where its asset points, or a file of that name beside the item.

    Raises:
        LabelError: There is no item, or it has no map.
    """
    with as_label_error():
        href = map_href(open_item(path))
    if is_remote(href):
        return href
    pointed = path.parent / href
    return str(pointed if pointed.is_file() else path.parent / pointed.name)


def item_at(address: str) -> StacItem | None:
    """The STAC item at an address; None where another JSON document is there, such as an API's own.

    Raises:
        RemoteError: The host does not give it, or gives no JSON.
    """
    document = client().json(address, signer_for(address))
    return as_item(document, address) if isinstance(document, Mapping) and is_item(document) else None


def map_of(item: StacItem) -> str:
    """Address of the map of an item at another host.

    Raises:
        LabelError: It has none.
    """
    with as_label_error():
        href = map_href(item)
    return href if is_remote(href) else urljoin(item.location, href)


def map_href(item: StacItem) -> str:
    """Address of the asset that holds the classes: `map`, or else the first GeoTIFF with the role of data.

    Raises:
        LabelError: The item has none.
    """
    assets = item.assets
    chosen = assets.get(MAP_ASSET) or next((asset for asset in assets.values() if _is_data(asset)), None)
    href = chosen.get("href") if isinstance(chosen, Mapping) else None
    if not isinstance(href, str):
        raise LabelError(f"{item.location}: has no asset `{MAP_ASSET}` and no GeoTIFF of data; not a WorldCover item")
    return href


def _is_data(asset: Any) -> bool:
    if not isinstance(asset, Mapping):
        return False
    return "geotiff" in str(asset.get("type", "")).lower() and "data" in (asset.get("roles") or ())


def search_maps(address: str, labels: WorldCoverLabels, box: Degrees) -> tuple[str, ...]:
    """Addresses of the maps over a box in a STAC API, in order of item, of the wanted year alone.

    Raises:
        LabelError: The address is no STAC API, or an item has no map.
        RemoteError: The API does not answer.
    """
    search = StacSource(
        kind="stac",
        path=address,
        collection=labels.collection,
        bbox=box.outer,
        dates=f"{labels.year}-01-01/{labels.year}-12-31",
    )
    area = shapely.unary_union([shapely.box(*bounds) for bounds in box.boxes])
    with as_label_error():
        items = [as_item(document, _self(document) or address) for document in search_items(search, area)]
        # a search by dates also finds an edition that ends at midnight of the wanted year's first day
        wanted = {item.name: item for item in items if _year(item) in (None, labels.year)}
        return tuple(map_of(wanted[name]) for name in sorted(wanted))


def _self(document: Mapping[str, Any]) -> str | None:
    """Where an item says that it stands."""
    links = (link for link in document.get("links") or () if isinstance(link, Mapping))
    return next((str(link.get("href")) for link in links if link.get("rel") == "self"), None)


def _year(item: StacItem) -> int | None:
    """The year that an item's map is of."""
    moment = str(item.properties.get("start_datetime") or item.properties.get("datetime") or "")
    return int(moment[:4]) if moment[:4].isdigit() else None
