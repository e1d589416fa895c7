"""Copies on this machine of shards in object storage: kept while there is room, the least recently used go first.

Off unless `AGRI_CACHE_GB` says how much may be kept, below `AGRI_CACHE`. Any number of processes share it. Zarr reads a
file that is not there as zeros, and any process may take a copy away at any moment; so each reader makes a hard link of
its own to what it reads, and believes what it has read only if the link is still there afterwards.
"""

import os
import shutil
import threading
import time
import weakref
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import zarr
from filelock import FileLock
from numpy.typing import NDArray

from agri_assets.cube.manifest import manifest_path, read_manifest
from agri_assets.cube.open import tiles_metadata
from agri_assets.cube.pipeline import bulk_array
from agri_assets.cube.schema import BANDS_ARRAY, CubeInfo
from agri_assets.cube.shards import shard_name
from agri_assets.errors import ConfigError, CubeError, StoreError
from agri_assets.objects import ObjectPath
from agri_assets.store.commit import STAGING_PREFIX, flush
from agri_assets.store.fingerprint import fingerprint
from agri_assets.store.layout import cache_folder

TRIES = 3
"""Readings of one shard: a copy that was damaged, or taken away while it was read, is made anew."""

ABANDONED_S = 86400.0
"""Age at which what a killed process left is removed."""


def cache_limit(environment: Mapping[str, str] = os.environ) -> int | None:
    """Bytes that copies of shards may take (`AGRI_CACHE_GB`); None: none are kept.

    Raises:
        ConfigError: It is not a positive number.
    """
    if not (text := environment.get("AGRI_CACHE_GB")):
        return None
    try:
        limit = float(text)
    except ValueError:
        limit = 0.0
    if not 0 < limit < float("inf"):
        raise ConfigError(f"AGRI_CACHE_GB={text}: not a number of gigabytes above 0; correct it or unset it")
    return int(limit * 1e9)


@dataclass(frozen=True)
class ShardCache:
    """Reads shards of one cube by way of their copies.

    Attributes:
        cube: The cube.
        info: Its description.
        folder: Of all copies of this machine.
        limit: Bytes that they may take.
        metadata: Of the array of tiles of a single shard.
    """

    cube: ObjectPath
    info: CubeInfo
    folder: Path
    limit: int
    metadata: dict[str, Any]
    _mine: threading.local = field(default_factory=threading.local, repr=False)

    @classmethod
    def of(cls, cube: Path, info: CubeInfo) -> "ShardCache | None":
        """The cache for a cube; None for one on this machine, or where none is wanted."""
        limit = cache_limit()
        if limit is None or not isinstance(cube, ObjectPath):
            return None
        metadata = deepcopy(tiles_metadata(cube))
        metadata["shape"] = list(metadata["chunk_grid"]["configuration"]["chunk_shape"])
        folder = cache_folder() / "shards"
        _sweep(folder / "reading")
        return cls(cube, info, folder, limit, metadata)

    def read(self, slot: int, row: int, column: int) -> NDArray[np.uint16]:
        """One shard as `open_tiles` gives it, (1, tiles, 1, pixels of a tile).

        Raises:
            CubeError: The cube has lost the shard.
            RuntimeError: The shard is damaged.
            StoreError: The cache cannot be used, or the object storage not be reached.
        """
        desk, copy = self._desk(), self.folder / "files" / self._key(slot, row, column)
        for attempt in range(TRIES):
            if not self._link(desk.link, copy, slot, row, column):
                return np.zeros(self.metadata["shape"], dtype=np.uint16)
            try:
                tiles = np.asarray(desk.array[:, :, :, :], dtype=np.uint16)
                if desk.link.exists():
                    return tiles
            except RuntimeError:
                copy.unlink(missing_ok=True)
                if attempt == TRIES - 1:
                    raise
            finally:
                desk.link.unlink(missing_ok=True)
        raise StoreError(f"{self.folder}: is emptied while it is in use; give each machine a folder of its own")

    def _key(self, slot: int, row: int, column: int) -> str:
        """Name of a copy: by its place and by what is in it, since a cube may be removed and built anew."""
        content, layout = self.info.slots[slot], (self.metadata["shape"], self.metadata["codecs"])
        return fingerprint(
            cube=str(self.cube), slot=slot, row=row, column=column, layout=layout,
            scene=content.fingerprint, digest=content.digest,
        )  # fmt: skip

    def _link(self, link: Path, copy: Path, slot: int, row: int, column: int) -> bool:
        """Make the link, and the copy where there is none; False if the shard is empty and has no file."""
        link.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(copy, link)
        except FileNotFoundError:
            y, x = row * self.info.shard_size, column * self.info.shard_size
            try:
                self._copy(shard_name(self.info, BANDS_ARRAY, slot, y, x), copy, link)
            except FileNotFoundError:
                self._require_empty(slot, y, x)
                return False
        # as a sign of use: link and copy are one file
        os.utime(link)
        return True

    def _copy(self, name: str, copy: Path, link: Path) -> None:
        copy.parent.mkdir(parents=True, exist_ok=True)
        staging = copy.with_name(f"{STAGING_PREFIX}{uuid4().hex}")
        try:
            (self.cube / name).copy_to(staging)
            flush(staging)
            os.link(staging, link)
            staging.replace(copy)
        finally:
            staging.unlink(missing_ok=True)
        with FileLock(self.folder / ".lock"):
            _trim(copy.parent, self.limit)

    def _require_empty(self, slot: int, y: int, x: int) -> None:
        shards = read_manifest(manifest_path(self.cube, slot)).shards
        if not any((one.array, one.y, one.x, one.state) == (BANDS_ARRAY, y, x, "empty") for one in shards):
            raise CubeError(
                f"{self.cube}, slot {slot}, y={y}, x={x}: the file of this shard is gone; find what else is with "
                "`agri-assets verify`"
            )

    def _desk(self) -> "_Desk":
        """What this thread reads by."""
        if not hasattr(self._mine, "desk"):
            self._mine.desk = _Desk.open(self.folder / "reading" / uuid4().hex, self.metadata)
        desk: _Desk = self._mine.desk
        return desk


@dataclass(frozen=True)
class _Desk:
    """A folder of one thread, where the shard that it reads is linked to, and the array that is read."""

    link: Path
    array: zarr.Array[Any]

    @classmethod
    def open(cls, folder: Path, metadata: dict[str, Any]) -> "_Desk":
        folder.mkdir(parents=True)
        desk = cls(folder / "tiles" / "c" / "0" / "0" / "0" / "0", bulk_array(folder, "tiles", metadata, True))
        weakref.finalize(desk, shutil.rmtree, folder, ignore_errors=True)
        return desk


def _trim(folder: Path, limit: int) -> None:
    """Remove the least recently used files until the rest is within the limit."""
    found = []
    for entry in os.scandir(folder):
        try:
            state = entry.stat()
        except FileNotFoundError:
            continue
        found.append((state.st_mtime, state.st_size, entry))
    total, now = sum(size for _, size, _ in found), time.time()
    for used, size, entry in sorted(found, key=lambda file: file[0]):
        staged = entry.name.startswith(STAGING_PREFIX)
        if now - used > ABANDONED_S if staged else total > limit:
            Path(entry.path).unlink(missing_ok=True)
            total -= size


def _sweep(folder: Path) -> None:
    """Remove what killed processes left."""
    for entry in folder.glob("*"):
        try:
            old = time.time() - entry.stat().st_mtime > ABANDONED_S
        except FileNotFoundError:
            continue
        if old:
            shutil.rmtree(entry, ignore_errors=True)
