"""Writing shards: always whole, straight to their place, invisible until the root metadata names their slot."""

import hashlib
import shutil
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from agri_assets.cube.manifest import ShardRecord
from agri_assets.cube.pipeline import bulk_array
from agri_assets.cube.schema import BANDS_ARRAY, CubeInfo
from agri_assets.errors import CubeError
from agri_assets.objects import ObjectPath
from agri_assets.store.commit import flush, publish, writing
from agri_assets.store.fingerprint import file_digest


@dataclass(frozen=True)
class ShardWriter:
    """Writes the shards of one slot of one array.

    Attributes:
        root: The cube.
        name: Name of the array.
        slot: Index on the time axis.
        info: The cube with this slot already counted in, so that the array is long enough to write to.
        array: The array as it will be once committed.
        staging: What zarrs writes to: the cube, or a folder of this machine from which shards go to object storage.
    """

    root: Path
    name: str
    slot: int
    info: CubeInfo
    array: zarr.Array[Any]
    staging: Path

    @classmethod
    def open(cls, root: Path, name: str, slot: int, info: CubeInfo, document: dict[str, Any]) -> "ShardWriter":
        """A writer for an array as the root document to come describes it."""
        metadata = document["consolidated_metadata"]["metadata"][name]
        staging = Path(tempfile.mkdtemp(prefix="agri-shards-")) if isinstance(root, ObjectPath) else root
        writer = cls(root, name, slot, info, bulk_array(staging, name, metadata, read_only=False), staging)
        if staging != root:
            weakref.finalize(writer, shutil.rmtree, staging, ignore_errors=True)
        return writer

    def write(self, y: int, x: int, block: npt.NDArray[Any]) -> ShardRecord:
        """Write one whole shard.

        Args:
            y: First pixel row.
            x: First pixel column.
            block: Pixels, (..., height, width) of the shard.

        Raises:
            CubeError: The block is not exactly one shard.
            StoreError: The disk is full or refuses.
        """
        self._require_whole(y, x, block)
        path = shard_file(self.root, self.info, self.name, self.slot, y, x)
        if not isinstance(path, ObjectPath):
            # what an interrupted build left must not be read and merged with
            path.unlink(missing_ok=True)
        digest = pixel_digest(block)
        if not block.any():
            return ShardRecord(array=self.name, y=y, x=x, state="empty", digest=digest)
        height, width = block.shape[-2:]
        depth = [slice(None)] * (block.ndim - 2)
        place = (slice(self.slot, self.slot + 1), *depth, slice(y, y + height), slice(x, x + width))
        file = shard_file(self.staging, self.info, self.name, self.slot, y, x)
        with writing(file):
            self.array[place] = block[np.newaxis]
            flush(file)
        record = ShardRecord(
            array=self.name, y=y, x=x, state="data", digest=digest, sha256=file_digest(file), size=file.stat().st_size
        )
        if isinstance(path, ObjectPath):
            publish(file, path)
            file.unlink()
        return record

    def _require_whole(self, y: int, x: int, block: npt.NDArray[Any]) -> None:
        edge = self.info.shard_size
        aligned = y % edge == 0 and x % edge == 0 and 0 <= y < self.info.height and 0 <= x < self.info.width
        expected = (*self.array.shape[1:-2], *self.info.shard_shape(y, x))
        if not aligned or block.shape != expected or block.dtype != self.array.dtype:
            raise CubeError(
                f"{self.root}/{self.name}: a block of {block.shape} {block.dtype} at y={y}, x={x} is not one whole "
                f"shard of {edge} px; write whole shards only"
            )


def shard_file(root: Path, info: CubeInfo, array: str, slot: int, y: int, x: int) -> Path:
    """The file of the shard whose upper-left pixel is (y, x)."""
    return root / shard_name(info, array, slot, y, x)


def shard_name(info: CubeInfo, array: str, slot: int, y: int, x: int) -> str:
    """The name of that file below the cube, by Zarr's default chunk keys."""
    depth = "0/" if array == BANDS_ARRAY else ""
    return f"{array}/c/{slot}/{depth}{y // info.shard_size}/{x // info.shard_size}"


def slot_folder(root: Path, array: str, slot: int) -> Path:
    """The folder of all shards of one slot, by Zarr's default chunk keys."""
    return root / array / "c" / str(slot)


def pixel_digest(pixels: npt.NDArray[Any]) -> str:
    """SHA-256 of pixels with their shape and type."""
    little = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<"))
    digest = hashlib.sha256(f"{little.dtype.name}{little.shape}".encode())
    digest.update(little.data)
    return digest.hexdigest()
