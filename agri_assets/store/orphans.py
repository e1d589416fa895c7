"""What killed processes left half-made: found by its name and by the lock that its makers no longer hold."""

import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agri_assets.objects import ObjectPath
from agri_assets.store.commit import STAGING_PREFIX, TEMPORARY_PREFIX, remove
from agri_assets.store.presence import abandoned

YOUNG_S = 60.0
"""A temporary folder may be so young that its maker does not hold it yet."""


@dataclass(frozen=True)
class Orphan:
    """A staged file or folder that nobody is making any more.

    Attributes:
        path: It.
        held: The folder whose lock its makers hold while they live.
        size: Its bytes.
    """

    path: Path
    held: Path
    size: int

    def remove(self) -> bool:
        """Remove it; False, and nothing is done, where somebody stages beside it meanwhile."""
        try:
            with abandoned(self.held) as free:
                if free:
                    remove(self.path)
                return free
        except FileNotFoundError:
            return True


def find_orphans(root: Path) -> list[Orphan]:
    """What lies below a folder and is nobody's, in order of name.

    Object storage holds nothing half-made: what goes there is made in temporary folders of this machine, which are
    looked at instead.
    """
    places = _temporary() if isinstance(root, ObjectPath) else _staged(root)
    found = [orphan for path, held in places if (orphan := _orphan(path, held))]
    return sorted(found, key=lambda orphan: orphan.path)


def _orphan(path: Path, held: Path) -> Orphan | None:
    try:
        with abandoned(held) as free:
            return Orphan(path, held, _size(path)) if free else None
    except OSError:
        # gone meanwhile, or another user's
        return None


def _staged(root: Path) -> Iterator[tuple[Path, Path]]:
    """Everything with a staging name, and the folder it is in; what is within it counts with it."""
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            if name.startswith(STAGING_PREFIX):
                yield Path(folder, name), Path(folder)
        folders[:] = [name for name in folders if not name.startswith(STAGING_PREFIX)]


def _temporary() -> Iterator[tuple[Path, Path]]:
    for path in Path(tempfile.gettempdir()).glob(f"{TEMPORARY_PREFIX}*"):
        if time.time() - path.stat().st_mtime > YOUNG_S:
            yield path, path


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
    return sum(file.lstat().st_size for file in files)
