"""The commit point of a cube: one atomic replace of the root `zarr.json`; and what is cleared away around it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.core.buffer import Buffer
from zarr.storage import MemoryStore, StorePath

from agri_assets.cube.manifest import damage_path, manifest_folder, patrol_path
from agri_assets.cube.open import cube_info
from agri_assets.cube.pipeline import plain_pipeline
from agri_assets.cube.schema import BANDS_ARRAY, CLASSES_ARRAY, CubeInfo
from agri_assets.cube.zarr_metadata import coordinates
from agri_assets.errors import CubeError
from agri_assets.objects import ObjectPath, remove_folder
from agri_assets.store.commit import STAGING_PREFIX, Guarded, json_bytes, read_json, write_bytes, write_text
from agri_assets.store.lease import require_leases

EPOCH = date(1970, 1, 1)

ROOT = "zarr.json"


def find_root(cube: Path) -> Guarded:
    """The root document of a cube, as the process that holds the cube's lock finds it before it reads anything."""
    return Guarded.found(cube / ROOT)


def write_coordinates(root: Path, info: CubeInfo, document: dict[str, Any], mend: bool = False) -> None:
    """Write the coordinates' values; like shards they are invisible until the commit.

    In a cube that is already committed only the last date is new, and nothing else is looked at unless it is to be
    mended.
    """
    fresh = mend or not (root / ROOT).exists()
    for name, content in coordinate_files(info, document, only_last_date=not fresh).items():
        _replace(root / name, content)


def coordinate_files(info: CubeInfo, document: dict[str, Any], only_last_date: bool = False) -> dict[str, bytes]:
    """What the files of the coordinates hold, by their names below the cube; what is all zero has none."""
    metadata = document["consolidated_metadata"]["metadata"]
    kept: dict[str, Buffer] = {}
    days = np.array([(date.fromisoformat(slot.date) - EPOCH).days for slot in info.slots if slot.date], dtype=np.int64)
    with plain_pipeline():
        for name, values in ({} if only_last_date else coordinates(info)).items():
            _encoded(kept, name, metadata)[...] = values
        if days.size:
            first = days.size - 1 if only_last_date else 0
            _encoded(kept, "time", metadata)[first:] = days[first:]
    return {name: content.to_bytes() for name, content in kept.items()}


def _encoded(kept: dict[str, Buffer], name: str, metadata: dict[str, Any]) -> zarr.Array[Any]:
    return zarr.Array.from_dict(StorePath(MemoryStore(kept), name), metadata[name])


def commit_root(root: Guarded, document: dict[str, Any]) -> None:
    """Make the slots of `document` visible, all at once.

    The arrays' own metadata follows the root: whoever opens an array by itself sees the last state or the one
    before, never a slot that is not whole.

    Raises:
        StoreError: In object storage: another process has committed meanwhile.
    """
    cube = root.path.parent
    if not root.path.exists() or read_json(root.path) != document:
        root.replace(json_bytes(document))
    for name, metadata in document["consolidated_metadata"]["metadata"].items():
        _replace(cube / name / ROOT, json_bytes(metadata))


def _replace(path: Path, content: bytes) -> None:
    if not path.is_file() or path.read_bytes() != content:
        write_bytes(path, content)


def claim_path(cube: Path) -> Path:
    """Names the one build that may write shards now."""
    return manifest_folder(cube) / "building"


@contextmanager
def claimed(cube: Path, job: str) -> Iterator[None]:
    """Let tasks of this job alone write shards for the length of the block, wherever they run.

    A killed build frees its lock at once, but tasks that it sent to other processes go on for a while. What such a task
    finds claimed by another build, or by none, it must not write.
    """
    write_text(claim_path(cube), job)
    try:
        yield
    finally:
        if _claim(cube) == job:
            claim_path(cube).unlink(missing_ok=True)


def _claim(cube: Path) -> str | None:
    try:
        return claim_path(cube).read_text()
    except FileNotFoundError:
        return None


def require_claim(cube: Path, job: str) -> None:
    """Refuse to write for a build that has ended.

    Raises:
        CubeError: Another build has begun, or none is at work.
    """
    if _claim(cube) != job:
        raise CubeError(f"{cube}: a task of a build that has ended writes nothing; the next build does its work")


def clear_uncommitted(cube: Path) -> None:
    """Remove what interrupted or failed builds left: slots that the root does not name, and files staged beside them.

    Only who holds the cube's lock may call it.

    Raises:
        StoreError: This process has lost the lock.
    """
    if isinstance(cube, ObjectPath):
        require_leases(cube)
    # before all else: from here on tasks of a build that was killed write nothing
    claim_path(cube).unlink(missing_ok=True)
    known = len(cube_info(cube).slots) if (cube / ROOT).exists() else 0
    if not known:
        remove_folder(cube)
        # what was known of a cube that is gone is not true of the next one, whose slots have the same numbers
        for known_of in (damage_path(cube), patrol_path(cube)):
            known_of.unlink(missing_ok=True)
    for name in (BANDS_ARRAY, CLASSES_ARRAY, "time"):
        for entry in _numbered(cube / name / "c", known):
            remove_folder(entry)
            entry.unlink(missing_ok=True)
    folder = manifest_folder(cube)
    for entry in _numbered(folder, known, "slot-"):
        entry.unlink()
    if not isinstance(cube, ObjectPath):
        _sweep(cube, f"{STAGING_PREFIX}*", f"*/{STAGING_PREFIX}*", f"*/c/{STAGING_PREFIX}*")
        _sweep(folder, f"{STAGING_PREFIX}*-slot-*", f"{STAGING_PREFIX}*-failed-*", f"{STAGING_PREFIX}*-building")


def _sweep(folder: Path, *patterns: str) -> None:
    for pattern in patterns:
        for left in folder.glob(pattern):
            left.unlink()


def _numbered(folder: Path, first: int, prefix: str = "") -> list[Path]:
    """What lies in a folder and is numbered from `first` on."""
    numbers = {entry: entry.stem.removeprefix(prefix) for entry in (folder.iterdir() if folder.is_dir() else ())}
    return [
        entry
        for entry, number in numbers.items()
        if entry.name.startswith(prefix) and number.isdecimal() and int(number) >= first
    ]
