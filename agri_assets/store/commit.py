"""How things become visible: whole, under a lock that a dead process does not keep.

On disk by one rename, under an advisory lock that the system frees; in object storage by putting whole objects, the one
that makes a folder whole last, under a lease that ends by itself.
"""

import errno
import json
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from agri_assets.errors import StoreError
from agri_assets.objects import ObjectPath
from agri_assets.store.lease import leased, require_leases
from agri_assets.store.presence import staging_in

STAGING_PREFIX = ".staging-"
"""Names of files and folders that are not yet whole begin with this."""

TEMPORARY_PREFIX = "agri-staging-"
"""Names of temporary folders of this machine, in which what goes to object storage is made, begin with this."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM)
_RUST_ERROR = re.compile(r"\(os error (\d+)\)")


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Tell in one line what keeps `target` from being written, for the length of the block.

    Raises:
        StoreError: The disk is full or not to be written to.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        code = _error_code(error)
        if code in _FULL:
            raise StoreError(
                f"{target}: cannot be written, its disk is full; free space and run again; what was there is unharmed"
            ) from None
        if code in _REFUSED and _is_near(error, target):
            raise StoreError(
                f"{target}: cannot be written ({os.strerror(code)}); make its folder writable or set AGRI_DATA_ROOT"
            ) from None
        raise


def _error_code(error: Exception) -> int:
    """The system's number of an error; libraries in Rust, zarrs among them, tell it in their text only."""
    if isinstance(error, OSError):
        return error.errno or 0
    told = _RUST_ERROR.search(str(error))
    return int(told[1]) if told else 0


def _is_near(error: Exception, target: Path) -> bool:
    """Whether it speaks of what is being written, and not of something that is read meanwhile."""
    named = error.filename if isinstance(error, OSError) else None
    return not isinstance(named, str) or Path(named) in target.parents or target.parent in Path(named).parents


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A staging path beside `target` for a file or folder; renamed over `target` when the block ends without error.

    A folder that exists under the final name is replaced by a staged folder, never by a file. Whatever interrupts the
    block, `target` is whole or absent. What goes to object storage is staged on this machine.

    Raises:
        StoreError: A file was staged, and `target` is a folder; or it cannot be written.
    """
    with writing(target):
        if isinstance(target, ObjectPath):
            with _staged_here(target) as staging:
                yield staging
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = _beside(target)
        with staging_in(target.parent):
            try:
                yield staging
                flush(staging)
                _move(staging, target)
                flush(target.parent)
            finally:
                remove(staging)


def _beside(target: Path) -> Path:
    return target.parent / f"{STAGING_PREFIX}{uuid.uuid4().hex[:8]}-{target.name}"


def _move(staging: Path, target: Path) -> None:
    """Give what is staged its name. A folder of that name steps aside whole: half of it must never be read."""
    if not target.is_dir():
        staging.replace(target)
        return
    if not staging.is_dir():
        raise StoreError(f"{target} is a folder, not a file to write; name another output")
    aside = _beside(target)
    target.replace(aside)
    staging.replace(target)
    remove(aside)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it; it need not be there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sweep(target: Path) -> None:
    """Remove what an interrupted `staged` of this target left; nobody else may be writing it."""
    if not isinstance(target, ObjectPath):
        for left in target.parent.glob(f"{STAGING_PREFIX}{'[0-9a-f]' * 8}-{target.name}"):
            remove(left)


@contextmanager
def _staged_here(target: ObjectPath) -> Iterator[Path]:
    """A path in a temporary folder; put under the name of `target` when the block ends without error."""
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX) as folder, staging_in(Path(folder)):
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


@dataclass
class Guarded:
    """A file that this process replaces, in object storage only while nobody else has replaced it meanwhile.

    On disk the lock that its writers hold cannot be lost, so there every replacement is right.

    Attributes:
        path: The file.
        tag: Tag of the object's state as it was found or put last; None where there was none.
    """

    path: Path
    tag: str | None = None

    @classmethod
    def found(cls, path: Path) -> "Guarded":
        """As it is now; what is read of it afterwards is the state that is guarded, or replacing it fails."""
        return cls(path, path.tag if isinstance(path, ObjectPath) else None)

    def replace(self, content: bytes) -> None:
        """Replace it.

        Raises:
            StoreError: Somebody else has replaced it, or it cannot be written.
        """
        if not isinstance(self.path, ObjectPath):
            write_bytes(self.path, content)
            return
        require_leases(self.path)
        self.tag = self.path.put_if(content, self.tag) or self._own(self.path, content)

    def _own(self, path: ObjectPath, content: bytes) -> str:
        """The tag of what we had put, although the answer was lost and we asked again."""
        tag = path.tag
        if tag is None or path.read_bytes() != content:
            raise StoreError(f"{path}: not written, since another process has replaced it meanwhile; run it again")
        return tag


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, indented for people; NaN is refused, since other readers cannot parse it."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """JSON as `write_json` writes it."""
    return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()


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
    path = target.parent / f".{target.name}.lock"
    lock = FileLock(path, timeout=timeout_s)
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
    except Timeout:
        raise StoreError(f"{what} is in use by {_holder(path)} ({path} is locked); wait for it or stop it") from None
    try:
        yield
    finally:
        if not keep:
            path.unlink(missing_ok=True)
        lock.release()


def _holder(path: Path) -> str:
    """Who holds the lock of a file, as far as the system tells: Linux lists the locks of this machine."""
    try:
        file = path.stat()
        place = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
        held = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        numbers = [fields[4] for fields in held if len(fields) > 5 and fields[5] == place]
    except OSError:
        numbers = []
    return f"another process (number {numbers[0]})" if numbers else "another process"


def flush(path: Path) -> None:
    """Force a file's or folder's entries to disk, so that a rename never outruns its content."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
