"""How things become visible: whole, under a lock that a dead process does not keep.

On disk by one rename, under an advisory lock that the system frees; in object storage by putting whole objects, the one
that makes a folder whole last, under a lease that ends by itself.
"""

import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from agri_assets.errors import StoreError
from agri_assets.objects import ObjectPath
from agri_assets.store.lease import leased, require_leases

STAGING_PREFIX = ".staging-"
"""Names of files and folders that are not yet whole begin with this."""


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A staging path beside `target` for a file or folder; renamed over `target` when the block ends without error.

    A folder that exists under the final name is replaced by a staged folder, never by a file. Whatever interrupts the
    block, `target` is whole or absent. What goes to object storage is staged on this machine.

    Raises:
        StoreError: A file was staged, and `target` is a folder.
    """
    if isinstance(target, ObjectPath):
        with _staged_here(target) as staging:
            yield staging
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = target.parent / f"{STAGING_PREFIX}{uuid.uuid4().hex[:8]}-{target.name}"
    try:
        yield staging
        flush(staging)
        if target.is_dir():
            if not staging.is_dir():
                raise StoreError(f"{target} is a folder, not a file to write; name another output")
            shutil.rmtree(target)
        staging.replace(target)
        flush(target.parent)
    finally:
        if staging.is_dir():
            shutil.rmtree(staging)
        else:
            staging.unlink(missing_ok=True)


@contextmanager
def _staged_here(target: ObjectPath) -> Iterator[Path]:
    """A path in a temporary folder; put under the name of `target` when the block ends without error."""
    with tempfile.TemporaryDirectory(prefix="agri-staging-") as folder:
        staging = Path(folder) / target.name
        yield staging
        if staging.is_dir():
            require_leases(target)
            target.put_folder(staging)
        else:
            publish(staging, target)


def publish(file: Path, target: ObjectPath) -> None:
    """Put a file of this machine into object storage.

    Raises:
        StoreError: It cannot be put, or this process has lost a lock.
    """
    require_leases(target)
    target.put_file(file)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    with staged(path) as staging:
        staging.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, indented for people; NaN is refused, since other readers cannot parse it."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        StoreError: It is missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreError(f"{path}: no such file; materialise what writes it first") from None
    except ValueError as error:
        raise StoreError(f"{path}: not valid JSON ({error}); delete it and materialise again") from None


@contextmanager
def locked(target: Path, what: str, timeout_s: float = 0.0, keep: bool = True) -> Iterator[None]:
    """Hold the advisory lock of `target` (a file beside it) for the length of the block.

    Args:
        target: What is to be held.
        what: It, for messages.
        timeout_s: How long to wait for another process.
        keep: Whether the lock's file stays; where it goes, what the block does must bear being done twice at once.

    Raises:
        StoreError: Another process holds it for longer than `timeout_s`.
    """
    if isinstance(target, ObjectPath):
        with leased(target, what, timeout_s):
            yield
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    path = target.parent / f".{target.name}.lock"
    try:
        with FileLock(path, timeout=timeout_s):
            try:
                yield
            finally:
                if not keep:
                    path.unlink(missing_ok=True)
    except Timeout:
        raise StoreError(f"{what} is in use by another process ({path} is locked); wait for it or stop it") from None


def flush(path: Path) -> None:
    """Force a file's or folder's entries to disk, so that a rename never outruns its content."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
