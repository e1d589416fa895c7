"""Which codec pipeline an array uses: zarrs for bulk pixels, and never another one silently."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zarr
import zarrs
from zarr.abc.store import Store
from zarr.storage import LocalStore, ObjectStore, StorePath

from agri_assets.buckets import open_bucket
from agri_assets.errors import CubeError
from agri_assets.objects import ObjectPath

FAST = "zarrs.ZarrsCodecPipeline"
PLAIN = "zarr.core.codec_pipeline.BatchedCodecPipeline"

_switch = threading.RLock()


def use_zarrs() -> None:
    """Make zarrs the codec pipeline of every array opened from here on; may be called any number of times.

    Raises:
        CubeError: Another pipeline stays in force.
    """
    zarr.config.set({"codec_pipeline.path": FAST})
    if (active := zarr.config.get("codec_pipeline.path")) != FAST:
        raise CubeError(f"the active Zarr codec pipeline is {active}, not {FAST}; reinstall the package zarrs")


def store_of(root: Path, read_only: bool = False) -> Store:
    """The Zarr store of a cube: its folder, or the objects below it."""
    if isinstance(root, ObjectPath):
        return ObjectStore(open_bucket(root.parts[1], prefix=root.key), read_only=read_only)
    return LocalStore(root, read_only=read_only)


class ReadOnlyArray(zarr.Array[Any]):
    """An array that refuses writes by itself: zarrs writes to a store although it was opened read-only."""

    def __setitem__(self, selection: Any, value: Any) -> None:
        """Refuse.

        Raises:
            CubeError: Always.
        """
        raise CubeError(f"{self.store_path}: opened for reading; cubes are written by materialising tile_cube only")


class RemoteArray(ReadOnlyArray):
    """An array in object storage, which asks for each shard of a read once.

    zarrs reads a part of a shard chunk by chunk, by two requests each, and the shards at the far edges stand out of the
    array. What a read asks for up to the edge is therefore read up to the end of the shard, from an array of whole
    shards.
    """

    whole: zarr.Array[Any]

    def __getitem__(self, selection: Any) -> Any:
        """As any array; what lies beyond the edge is cut off."""
        spans = _spans(selection, self.shape)
        if spans is None:
            return super().__getitem__(selection)
        ends = zip(spans, self.shape, self.whole.shape, strict=True)
        wide = tuple(slice(start, whole if end == length else end) for (start, end), length, whole in ends)
        found: Any = self.whole[wide]
        return found[tuple(slice(end - start) for start, end in spans)]


def _spans(selection: Any, shape: tuple[int, ...]) -> list[tuple[int, int]] | None:
    """First and end index along each axis; None where that is not all that a selection says."""
    if not isinstance(selection, tuple) or len(selection) != len(shape):
        return None
    if not all(isinstance(part, slice) and part.step in (None, 1) for part in selection):
        return None
    spans = [part.indices(length)[:2] for part, length in zip(selection, shape, strict=True)]
    return [(start, max(start, end)) for start, end in spans]


def bulk_array(root: Path, name: str, metadata: dict[str, Any], read_only: bool) -> zarr.Array[Any]:
    """An array for bulk reads or writes through zarrs, described by `metadata` and not by the store's own files.

    Args:
        root: The cube.
        name: Name of the array below it.
        metadata: The array's Zarr v3 metadata document.
        read_only: Refuse writes.

    Raises:
        CubeError: zarrs cannot serve the array.
    """
    remote = isinstance(root, ObjectPath) and read_only
    array = _zarrs_array(RemoteArray if remote else ReadOnlyArray if read_only else zarr.Array, root, name, metadata)
    if isinstance(array, RemoteArray):
        shard = metadata["chunk_grid"]["configuration"]["chunk_shape"]
        shape = [-(-length // edge) * edge for length, edge in zip(metadata["shape"], shard, strict=True)]
        # zarr's arrays are frozen
        object.__setattr__(array, "whole", _zarrs_array(ReadOnlyArray, root, name, {**metadata, "shape": shape}))
    return array


def _zarrs_array(kind: type[zarr.Array[Any]], root: Path, name: str, metadata: dict[str, Any]) -> zarr.Array[Any]:
    store = store_of(root, read_only=issubclass(kind, ReadOnlyArray))
    # strict: an index form that zarrs does not know raises instead of falling back to the slow pipeline
    with _pipeline(FAST, strict=True), warnings.catch_warnings():
        # zarrs opens a bucket with connections of its own, which is what it says
        warnings.filterwarnings("ignore", "Successfully reconstructed a store defined in another", RuntimeWarning)
        array: zarr.Array[Any] = kind.from_dict(StorePath(store, name), metadata)
        pipeline = array.async_array.codec_pipeline
    if not isinstance(pipeline, zarrs.ZarrsCodecPipeline) or pipeline.impl is None:
        raise CubeError(f"{root}/{name}: not served by zarrs but by {type(pipeline).__name__}; check its codecs")
    return array


@contextmanager
def plain_pipeline() -> Iterator[None]:
    """zarr-python's own pipeline for the length of the block: for strings and memory stores, unknown to zarrs."""
    with _pipeline(PLAIN, strict=False):
        yield


@contextmanager
def _pipeline(path: str, strict: bool) -> Iterator[None]:
    # the setting is global and read when an array is made, so one thread at a time
    with _switch, zarr.config.set({"codec_pipeline.path": path, "codec_pipeline.strict": strict}):
        yield
