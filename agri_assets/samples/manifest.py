"""manifest.safe: every file of a product with its size and SHA3-256 checksum, as the real one lists them."""

import hashlib
from pathlib import Path

from agri_assets.samples.xml import Element, add, document

MANIFEST = "manifest.safe"
_CHUNK = 1 << 20


def write_manifest(product: Path) -> None:
    """Write the manifest of all files below `product`; the last file of a product to be written."""
    names = {
        "xmlns:gml": "http://www.opengis.net/gml",
        "xmlns:safe": "http://www.esa.int/safe/sentinel/1.1",
        "xmlns:xfdu": "urn:ccsds:schema:xfdu:1",
        "version": "esa/safe/sentinel/1.1/sentinel-2/msi/archive_l2a_user_product",
    }
    root = Element("xfdu:XFDU", names)
    package = add(add(root, "informationPackageMap"), "xfdu:contentUnit", ID="Sentinel-2_L2A_Product")
    objects = Element("dataObjectSection")
    for path in sorted(file for file in product.rglob("*") if file.is_file() and file.name != MANIFEST):
        place = path.relative_to(product).as_posix()
        identity = place.replace("/", "_")
        unit = add(package, "xfdu:contentUnit", ID=f"{identity}_Unit")
        add(unit, "dataObjectPointer", dataObjectID=identity)
        kind = "text/xml" if path.suffix == ".xml" else "application/octet-stream"
        stream = add(add(objects, "dataObject", ID=identity), "byteStream", mimeType=kind, size=path.stat().st_size)
        add(stream, "fileLocation", href=f"./{place}", locatorType="URL")
        add(stream, "checksum", sha3(path), checksumName="SHA3-256")
    root.append(objects)
    (product / MANIFEST).write_bytes(document(root))


def sha3(path: Path) -> str:
    """SHA3-256 of a file, hexadecimal."""
    digest = hashlib.sha3_256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
