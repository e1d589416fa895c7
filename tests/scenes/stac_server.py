"""A small STAC API for tests, put into the range-serving test server: searches with paging, and its items."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from shapely.geometry import box, shape

ITEM_SEARCH = "https://api.stacspec.org/v1.0.0/item-search"
QUERY = "https://api.stacspec.org/v1.0.0/item-search#query"
FILTER = "https://api.stacspec.org/v1.0.0-rc.2/item-search#filter"


class StacApi:
    """Answers at `/v1` of a `RemoteServer`.

    Attributes:
        items: The items, in the order in which they are found.
        page: Items a page.
        searches: The parameters of each request for a page, those of `next` links included.
    """

    def __init__(self, site: Any, items: list[dict], conforms=(QUERY,), page: int = 2, methods=("GET", "POST")) -> None:
        self.site, self.items, self.page, self.methods = site, items, page, methods
        self.conforms = ["https://api.stacspec.org/v1.0.0/core", ITEM_SEARCH, *conforms]
        self.searches: list[dict] = []
        site.documents["/v1"] = lambda *_: self._landing()
        site.documents["/v1/search"] = self._search
        for item in items:
            path = f"/v1/collections/{item.get('collection')}/items/{item.get('id')}"
            site.documents[path] = item
            item["links"] = [{"rel": "self", "href": site.at(path), "type": "application/geo+json"}]

    @property
    def url(self) -> str:
        return self.site.at("/v1")

    def _landing(self) -> dict:
        links = [
            {"rel": "search", "href": self.url + "/search", "type": "application/geo+json", "method": method}
            for method in self.methods
        ]
        root = {"rel": "root", "href": self.url, "type": "application/json"}
        return {
            "type": "Catalog", "id": "test", "stac_version": "1.0.0", "description": "for tests",
            "conformsTo": self.conforms, "links": [root, *links],
        }  # fmt: skip

    def _search(self, path: str, posted: bytes | None) -> dict:
        asked = json.loads(posted) if posted else _from_query(urlsplit(path).query)
        self.searches.append(asked)
        found = [item for item in self.items if _matches(item, asked)]
        start = int(asked.get("token", 0))
        links = []
        if start + self.page < len(found):
            body = {**asked, "token": str(start + self.page)}
            link = {"rel": "next", "type": "application/geo+json", "href": self.url + "/search"}
            links.append({**link, "method": "POST", "body": body} if posted else _with_query(link, body))
        return {"type": "FeatureCollection", "features": found[start : start + self.page], "links": links}


def _from_query(query: str) -> dict:
    values: dict[str, Any] = {key: value[0] for key, value in parse_qs(query).items()}
    if "collections" in values:
        values["collections"] = values["collections"].split(",")
    for key in ("intersects", "query"):
        if key in values:
            values[key] = json.loads(values[key])
    return values


def _with_query(link: dict, body: Mapping[str, Any]) -> dict:
    flat = {key: json.dumps(value) if isinstance(value, dict) else value for key, value in body.items()}
    flat["collections"] = ",".join(body["collections"])
    return {**link, "href": f"{link['href']}?{urlencode(flat)}"}


def _matches(item: dict, asked: Mapping[str, Any]) -> bool:
    if item.get("collection") not in asked.get("collections", [item.get("collection")]):
        return False
    properties = item.get("properties") or {}
    if "intersects" in asked and item.get("geometry"):
        ground = shape(item["geometry"])
        if not ground.intersects(shape(asked["intersects"]).intersection(box(-180, -90, 180, 90))):
            return False
    if "datetime" in asked:
        first, last = asked["datetime"].split("/")
        if not first <= properties.get("datetime", first) <= last:
            return False
    limit = asked.get("query", {}).get("eo:cloud_cover", {}).get("lte", 100)
    return properties.get("eo:cloud_cover", 0) <= limit
