"""`manifest.safe`: the size and checksum of every file of a product, and whether they still hold."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from agri_assets.errors import SceneError
from agri_assets.scenes.metadata_xml import elements, read_xml

ALGORITHMS = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA3-256": "sha3_256"}
"""Checksum names of SAFE manifests (MD5 up to baseline 03.01, SHA3-256 since) and hashlib's for them."""

_CHUNK = 4 * 2**20


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


def read_manifest(product: Path) -> dict[str, ManifestFile]:
    """The files of a product by path relative to it; empty where it has no manifest.

    Raises:
        SceneError: The manifest cannot be parsed.
    """
    path = product / "manifest.safe"
    if not path.exists():
        return {}
    found: dict[str, ManifestFile] = {}
    for stream in elements(read_xml(path), "byteStream"):
        location = next(elements(stream, "fileLocation"), None)
        checksum = next(elements(stream, "checksum"), None)
        if location is None:
            continue
        size = stream.get("size", "")
        named = ALGORITHMS.get(checksum.get("checksumName", "")) if checksum is not None else None
        digest = (checksum.text or "").strip().lower() if checksum is not None else ""
        name = location.get("href", "").removeprefix("./")
        found[name] = ManifestFile(int(size) if size.isdigit() else None, named, digest)
    return found


def verify_file(path: Path, expected: ManifestFile) -> bool:
    """Compare a file with its manifest entry; False where the entry holds no checksum to compare with.

    Raises:
        SceneError: Size or checksum differ.
    """
    size = path.stat().st_size
    if expected.size is not None and size != expected.size:
        raise SceneError(f"{path}: {size} bytes, manifest.safe says {expected.size}; damaged, download it again")
    if expected.algorithm is None or not expected.digest:
        return False
    digest = hashlib.new(expected.algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != expected.digest:
        raise SceneError(f"{path}: checksum differs from manifest.safe; damaged, download it again")
    return True
