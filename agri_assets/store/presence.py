"""Who stages files in a folder: a lock on the folder itself, which the system frees with its holder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def staging_in(folder: Path) -> Iterator[None]:
    """Hold a shared lock on a folder itself: who gets it alone knows that what is staged there is nobody's any more."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        # a file system without such locks is as good for staging; `orphans` then finds nothing
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


@contextmanager
def abandoned(folder: Path) -> Iterator[bool]:
    """Whether no living process stages anything in a folder; true for the length of the block, where others wait."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)
