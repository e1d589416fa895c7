"""Searching a STAC API for Sentinel-2 items."""

from collections.abc import Iterator
from typing import Any

from pystac_client import Client
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry
from urllib3 import Retry

from agri_assets.errors import RemoteError, SceneError
from agri_assets.scenes.settings import StacSource
from agri_assets.scenes.stac_document import Json

PAGE = 100
"""Items asked for at once: about 3 MB, within what every provider answers with."""

RETRIES = Retry(
    total=6,
    connect=2,  # where no connection comes about, most often the address is wrong
    backoff_factor=1.0,
    backoff_jitter=0.5,
    backoff_max=60,
    status_forcelist=(429, 500, 502, 503, 504),
    allowed_methods=None,  # a search changes nothing, though it is a POST
    respect_retry_after_header=True,
    retry_after_max=300,
    raise_on_status=False,
)
"""An overloaded host is asked again, when it says so if it says so."""

TIMEOUT_S = (10.0, 60.0)
"""Longest wait for a connection, and between two bytes of an answer."""


def search_items(settings: StacSource, area: BaseGeometry) -> Iterator[Json]:
    """The items of a search, page by page, as they come.

    The server is asked to limit the cloud cover where it says that it can; callers filter in any case.

    Args:
        settings: API, collection, dates and cloud limit.
        area: Ground that items must touch, EPSG:4326.

    Raises:
        SceneError: The address is no STAC API that can be searched.
        RemoteError: It does not answer, after all retries.
    """
    try:
        client = Client.from_file(settings.path, stac_io=StacApiIO(max_retries=RETRIES, timeout=TIMEOUT_S))
        if not client.conforms_to("ITEM_SEARCH"):
            raise SceneError(f"{settings.path}: no STAC API with item search; name an API, or use kind stac_catalog")
        search = client.search(
            method=_method(client),
            collections=[settings.collection],
            intersects=mapping(area),
            datetime=_interval(settings.dates),
            limit=PAGE,
            **_cloud_limit(client, settings.max_cloud),
        )
        yield from search.items_as_dicts()
    except APIError as error:
        raise _refusal(settings, error) from None
    except SceneError:
        raise
    except (
        Exception
    ) as error:  # pystac and pystac_client raise kinds without a common base, plain Exceptions among them
        raise SceneError(
            f"{settings.path}: does not answer as a STAC API does ({_one_line(error)}); name the address of an API"
        ) from None


def asked(settings: StacSource, where: str) -> str:
    """What a search asks for, in words."""
    words = [f"items of {settings.collection} in {where}"]
    if settings.dates:
        words.append("from {} to {}".format(*settings.dates.split("/")))
    if settings.max_cloud is not None:
        words.append(f"with at most {settings.max_cloud:g} % cloud")
    return " ".join(words)


def where(settings: StacSource) -> str:
    """The area of a search, in words."""
    said = [
        f"tiles {', '.join(settings.tiles)}" if settings.tiles else "",
        f"bbox {list(settings.bbox)}" if settings.bbox else "",
        f"the area of {settings.area}" if settings.area else "",
    ]
    return " and ".join(word for word in said if word)


def _method(client: Client) -> str:
    """POST where the API offers it: areas may be longer than an address can be."""
    links = [link for link in client.links if link.rel == "search"]
    return "POST" if any(link.extra_fields.get("method") == "POST" for link in links) or not links else "GET"


def _interval(dates: str | None) -> str | None:
    """`first/last` as an RFC 3339 interval that covers both days."""
    if dates is None:
        return None
    first, last = dates.split("/")
    return f"{first}T00:00:00Z/{last}T23:59:59.999Z"


def _cloud_limit(client: Client, limit: float | None) -> dict[str, Any]:
    if limit is None:
        return {}
    if client.conforms_to("QUERY"):
        return {"query": {"eo:cloud_cover": {"lte": limit}}}
    if client.conforms_to("FILTER"):
        return {"filter_lang": "cql2-json", "filter": {"op": "<=", "args": [{"property": "eo:cloud_cover"}, limit]}}
    return {}


def _refusal(settings: StacSource, error: APIError) -> RemoteError:
    status = getattr(error, "status_code", None)
    said = _one_line(error)[:300]
    # without a status there was no answer; what the client asked wrongly stays wrong
    transient = status is None or status == 429 or status >= 500
    what = f"answered {status} ({said})" if status else f"gives no answer ({said})"
    hint = "try again later" if transient else "check path and collection in collections.yaml"
    return RemoteError(f"{settings.path}: {what} to a search for {asked(settings, where(settings))}; {hint}", transient)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
