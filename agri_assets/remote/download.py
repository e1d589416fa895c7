"""Files copied from other hosts: continued after an interruption, checked, and visible only when whole."""

import hashlib
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from agri_assets.errors import RemoteError
from agri_assets.progress import Meter, meter
from agri_assets.remote.address import without_signature
from agri_assets.remote.answer import Part
from agri_assets.remote.client import client
from agri_assets.store.commit import flush, locked

logger = logging.getLogger(__name__)

PIECE = 8 << 20
"""Bytes of one request."""

MEGABYTE = 1_000_000

LOCK_TIMEOUT_S = 6 * 3600.0
"""How long a process waits for another one that copies the same file."""

MULTIHASH = {"1220": "sha256", "1340": "sha512", "1114": "sha1", "d50110": "md5"}
"""Code and length at the beginning of a `file:checksum`, and the digest that it announces.

https://github.com/multiformats/multicodec/blob/master/table.csv
"""


@dataclass(frozen=True)
class Digest:
    """The checksum that a file should have."""

    name: str
    value: str

    def of(self, path: Path) -> str:
        """The same digest of a file, in hexadecimal."""
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, lambda: hashlib.new(self.name, usedforsecurity=False)).hexdigest()


def parse_checksum(multihash: str | None) -> Digest | None:
    """A STAC `file:checksum` (a multihash in hexadecimal); None where its kind is not known here."""
    text = (multihash or "").strip().lower()
    for prefix, name in MULTIHASH.items():
        value = text.removeprefix(prefix)
        if value != text and len(value) == 2 * hashlib.new(name, usedforsecurity=False).digest_size:
            return Digest(name, value)
    return None


def download(url: str, target: Path, sign: str = "", size: int | None = None, checksum: str | None = None) -> Path:
    """Copy a remote file to `target`, unless it is there and whole.

    What an interrupted copy left is continued, unless the file changed at its host. Several processes may ask for the
    same file at once: one copies, the others wait.

    Args:
        url: Its address, without signature.
        target: Where it goes, under this name only when it is whole and right.
        sign: How the address is signed; see `signing`.
        size: Bytes that it should have, where somebody says so.
        checksum: STAC's `file:checksum`; the size alone is checked where it is of an unknown kind.

    Raises:
        RemoteError: It cannot be had, or is not what it should be, also at a second try.
    """
    digest = parse_checksum(checksum)
    with locked(target, f"the copy of {without_signature(url)}", timeout_s=LOCK_TIMEOUT_S, keep=False):
        if target.is_file() and _is_right(url, target, sign, size, digest):
            return target
        problem = ""
        for _ in range(2):
            part = _fetch(url, target, sign, checked=digest is not None)
            problem = _wrong(part, size, digest)
            if not problem:
                return _finish(part, target)
            logger.warning("%s: %s; copying it again", without_signature(url), problem)
            _drop(part)
        raise RemoteError(
            f"{without_signature(url)}: {problem}, twice; the file or its item is wrong, leave it out", False
        )


def _is_right(url: str, target: Path, sign: str, size: int | None, digest: Digest | None) -> bool:
    """Whether a file that is there is whole; its host is asked for the size where nobody says what it should be."""
    if size is None and digest is None:
        size = client().size(url, sign)
    return not _wrong(target, size, digest)


def _wrong(path: Path, size: int | None, digest: Digest | None) -> str:
    """What is wrong with a file; empty if nothing is."""
    found = path.stat().st_size
    if size is not None and found != size:
        return f"has {found} bytes instead of {size}"
    if digest is not None and (value := digest.of(path)) != digest.value:
        return f"has the {digest.name} digest {value} instead of {digest.value}"
    return ""


def _fetch(url: str, target: Path, sign: str, checked: bool) -> Path:
    """The whole file under the name of an unfinished one, going on where an earlier copy ended."""
    path = target.with_name(f"{target.name}.part")
    first = client().part(url, 0, 1, sign)
    done = _usable(path, first, checked)
    _state(path).write_text(json.dumps({"tag": first.tag, "size": first.total}), encoding="utf-8")
    with path.open("r+b" if done else "wb") as handle:
        handle.truncate(done)
        handle.seek(done)
        megabytes = -(-first.total // MEGABYTE)
        with meter(f"copying {target.name}", megabytes, "MB") as progress:
            while done < first.total:
                done += handle.write(_piece(url, sign, done, first))
                _show(progress, done)
        handle.flush()
        os.fsync(handle.fileno())
    return path


def _piece(url: str, sign: str, start: int, first: Part) -> bytes:
    piece = client().part(url, start, min(start + PIECE, first.total), sign)
    if (piece.total, piece.tag) != (first.total, first.tag):
        raise RemoteError(f"{without_signature(url)}: changed at its host while it was copied; copy it again")
    return piece.content


def _usable(path: Path, first: Part, checked: bool) -> int:
    """Bytes of an earlier copy that belong to the file as it now is at its host.

    A host that does not tell one state of a file from another is trusted only where a checksum is looked at in the end.
    """
    try:
        state = json.loads(_state(path).read_text(encoding="utf-8"))
        done = path.stat().st_size
    except (OSError, ValueError):
        return 0
    known = (first.tag or checked) and state == {"tag": first.tag, "size": first.total}
    return done if known and done <= first.total else 0


def _show(progress: Meter, done: int) -> None:
    progress.advance(-(-done // MEGABYTE) - progress.done)


def _finish(part: Path, target: Path) -> Path:
    part.replace(target)
    flush(target.parent)
    _state(part).unlink(missing_ok=True)
    return target


def _drop(part: Path) -> None:
    part.unlink(missing_ok=True)
    _state(part).unlink(missing_ok=True)


def _state(part: Path) -> Path:
    """Beside an unfinished file: which state of the remote file it belongs to."""
    return part.with_name(f"{part.name}.json")
