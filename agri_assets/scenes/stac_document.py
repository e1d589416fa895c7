"""STAC documents, from disk or from another host, and the item among them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agri_assets.errors import SceneError
from agri_assets.remote.address import is_remote, without_signature

Json = Mapping[str, Any]

SIZE_LIMIT = 16 * 2**20
"""Largest JSON document read, in bytes; real items are below 100 kB."""


@dataclass(frozen=True)
class StacItem:
    """An item and where it stands.

    Attributes:
        document: The item as it came.
        location: Its path or its address, without signature: relative addresses count from it.
    """

    document: Json
    location: str

    @property
    def properties(self) -> Json:
        """The item's properties."""
        found: Json = self.document["properties"]
        return found

    @property
    def assets(self) -> Json:
        """The item's assets; a `fields` filter leaves none."""
        found = self.document.get("assets") or {}
        if not isinstance(found, Mapping):
            raise SceneError(f"{self.location}: assets is {type(found).__name__}, not an object; the item is broken")
        return found

    @property
    def name(self) -> str:
        """The item's id, or what its file is called."""
        return str(self.document.get("id") or Path(self.location).stem)


def read_json_document(path: Path) -> dict[str, Any]:
    """A STAC document: a JSON object of bounded size.

    Raises:
        SceneError: It is missing, too large, or not a JSON object.
    """
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise SceneError(f"{path}: larger than the {SIZE_LIMIT} bytes allowed; not a STAC document")
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise SceneError(f"{path}: not a readable STAC document ({' '.join(str(error).split())})") from None
    return _object(document, str(path))


def open_item(location: Path | str) -> StacItem:
    """The item in a file, or at an address.

    Raises:
        SceneError: There is no item.
        RemoteError: The host does not give it, after all retries.
    """
    if not is_remote(str(location)):
        return as_item(read_json_document(Path(location)), str(location))
    # reading items on disk needs no network code
    from agri_assets.remote.client import client
    from agri_assets.remote.signing import signer_for

    return as_item(client().json(str(location), signer_for(str(location))), str(location))


def as_item(document: object, location: str) -> StacItem:
    """A document that must be an item.

    Raises:
        SceneError: It is something else.
    """
    found = _object(document, without_signature(location) if is_remote(location) else location)
    if not is_item(found):
        raise SceneError(f"{location}: not a STAC item (type {found.get('type')!r}); name an item, or a .SAFE product")
    return StacItem(found, without_signature(location) if is_remote(location) else location)


def is_item(document: Json) -> bool:
    """Whether a JSON document is a STAC item rather than a catalogue, a collection, or anything else."""
    return document.get("type") == "Feature" and isinstance(document.get("properties"), Mapping)


def _object(document: object, name: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise SceneError(f"{name}: expected a JSON object, found {type(document).__name__}; not a STAC document")
    return document
