"""`manifest.safe`: the size and checksum of every file of a product, and whether they still hold."""

import hashlib
import posixpath
from dataclasses import dataclass

from agri_assets.errors import SceneError
from agri_assets.scenes.metadata_xml import SIZE_LIMIT, descendants, parse_xml
from agri_assets.scenes.product_files import ProductFiles

MANIFEST = "manifest.safe"

ALGORITHMS = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA3-256": "sha3_256"}
"""Checksum names of SAFE manifests (MD5 up to baseline 03.01, SHA3-256 since) and hashlib's for them."""


@dataclass(frozen=True)
class ManifestFile:
    """What the manifest says of one file.

    Attributes:
        size: Bytes; None where it does not say.
        algorithm: As hashlib names it; None where there is no checksum that we know.
        digest: Lower-case hex.
    """

    size: int | None
    algorithm: str | None
    digest: str


def read_manifest(files: ProductFiles) -> dict[str, ManifestFile]:
    """The files of a product by name; empty where it has no manifest.

    Raises:
        SceneError: The manifest cannot be parsed.
    """
    if not files.exists(MANIFEST):
        return {}
    document = parse_xml(files.read_bytes(MANIFEST, SIZE_LIMIT), files.where(MANIFEST))
    found: dict[str, ManifestFile] = {}
    for stream in document.elements("byteStream"):
        location = next(descendants(stream, "fileLocation"), None)
        checksum = next(descendants(stream, "checksum"), None)
        if location is None:
            continue
        size = stream.get("size")
        named = ALGORITHMS.get(checksum.get("checksumName", "").upper()) if checksum is not None else None
        digest = (checksum.text or "").strip().lower() if checksum is not None else ""
        # hrefs begin with `./`, in some products with nothing
        found[posixpath.normpath(location.get("href", ""))] = ManifestFile(
            document.whole(size, "byteStream size") if size else None, named, digest
        )
    return found


def verify_file(files: ProductFiles, name: str, expected: ManifestFile) -> bool:
    """Compare a file with its manifest entry; False where the entry holds no checksum to compare with.

    Raises:
        SceneError: Size or checksum differ, or the file cannot be read.
    """
    where, size = files.where(name), files.size(name)
    if expected.size is not None and size != expected.size:
        raise SceneError(f"{where}: {size} bytes, manifest.safe says {expected.size}; damaged, download it again")
    if expected.algorithm is None or not expected.digest:
        return False
    digest = hashlib.new(expected.algorithm, usedforsecurity=False)
    for chunk in files.chunks(name):
        digest.update(chunk)
    if digest.hexdigest() != expected.digest:
        raise SceneError(f"{where}: checksum differs from manifest.safe; damaged, download it again")
    return True
