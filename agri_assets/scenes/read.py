"""The record of one product, whatever it is: for people who want to look before they ingest."""

from pathlib import Path

from agri_assets.errors import SceneError
from agri_assets.remote.address import is_remote, without_signature
from agri_assets.scenes.geotiff import read_sidecar
from agri_assets.scenes.record import SceneRecord
from agri_assets.scenes.safe import read_safe
from agri_assets.scenes.stac import read_item

KINDS = "a .SAFE directory or zip, a STAC item (file or address), or a GeoTIFF sidecar (*.scene.json)"


def inspect_product(location: str) -> SceneRecord:
    """Read a SAFE product, a STAC item or a sidecar; rasters at other hosts are not opened.

    Raises:
        SceneError: There is nothing there, or it is no usable Level-2A product.
        RemoteError: The host of an item does not give it.
    """
    if not location.strip():
        raise SceneError(f"no product is named; name {KINDS}")
    if is_remote(location):
        return read_item(location)
    if "://" in location:
        raise SceneError(f"{without_signature(location)}: no address that can be read; name {KINDS}")
    path = Path(location).expanduser().absolute()
    if not path.exists():
        raise SceneError(f"{path}: no such file or directory; name {KINDS}")
    name = path.name.lower()
    if path.is_dir() or name.endswith(".zip"):
        return read_safe(path)
    if name.startswith("mtd_msil"):
        return read_safe(path.parent)
    if name.endswith(".scene.json"):
        return read_sidecar(path)
    if name.endswith((".json", ".geojson")):
        return read_item(path)
    raise SceneError(f"{path}: cannot be inspected; name {KINDS}")
