"""The record of one product, whatever it is: for people who want to look before they ingest."""

from pathlib import Path

from agri_assets.errors import SceneError
from agri_assets.scenes.record import SceneRecord
from agri_assets.scenes.safe import read_safe
from agri_assets.scenes.stac import read_item


def inspect_product(location: str) -> SceneRecord:
    """Read a `.SAFE` directory or a STAC item file.

    Raises:
        SceneError: There is nothing there, or it is no usable Level-2A product.
    """
    if "://" in location:
        raise SceneError(f"{location}: only products on disk can be inspected; name a .SAFE directory or an item file")
    path = Path(location).expanduser().absolute()
    if not path.exists():
        raise SceneError(f"{path}: no such file or directory; name a .SAFE directory or a STAC item file")
    if path.is_dir():
        return read_safe(path)
    if path.name.upper().startswith("MTD_MSIL"):
        return read_safe(path.parent)
    if path.suffix.lower() in (".json", ".geojson"):
        return read_item(path)
    raise SceneError(f"{path}: neither a .SAFE directory nor a STAC item file (.json); cannot be inspected")
