"""The reader as a torch `DataLoader` over an `IterableDataset`: workers and ranks share whole batches, none twice.

Batch `b` of an epoch is made by worker `b % workers`, and the loader takes batches back in that order; so the order is
the stream's own, whatever the number of workers.
"""

import itertools
import math
import multiprocessing
import os
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from agri_assets.loading.ahead import DEPTH, read_ahead
from agri_assets.loading.augment import NONE, Augmentation
from agri_assets.loading.order import WHOLE, Share
from agri_assets.loading.ring import Filled, Ring, TensorBatch
from agri_assets.loading.samples import SampleTable
from agri_assets.loading.stream import Batch, Empty, TileStream, fresh

AHEAD = 768
"""Samples that each worker makes ahead, at least: about three shards of them, to use while the next ones are read."""

LEAST_AHEAD = 2
"""Batches that each worker makes ahead, at least."""

IN_USE = 2
"""Batches that a training has its hands on: one that it works on, one that it has yet to let go."""


class BatchDataset(IterableDataset[TensorBatch]):
    """The batches of an epoch from a first one on, or a rank's share of them; a worker gives every n-th.

    Attributes:
        stream: Where they are read.
        share: The rank that reads, of how many.
    """

    def __init__(
        self, stream: TileStream, share: Share = WHOLE, epoch: int = 0, first: int = 0, workers: int = 0
    ) -> None:
        """Choose where the first iteration begins (see `set_epoch`), and how many processes of one loader read."""
        self.stream, self.share = stream, share
        self.prefetch = max(LEAST_AHEAD, -(-AHEAD // stream.batch_size))
        held = -(-(DEPTH + IN_USE) // workers) if workers else 0
        self._ring = Ring(workers, self.prefetch + held, stream.batch_bytes(share)) if workers else None
        self._coming: ThreadPoolExecutor | None = None
        # in shared memory, so that workers that live on from epoch to epoch see what is set
        self._next = torch.tensor([epoch, first]).share_memory_()  # type: ignore[no-untyped-call]

    def __len__(self) -> int:
        """Batches that the next iteration gives."""
        return len(self.stream) - int(self._next[1])

    def set_epoch(self, epoch: int, first: int | None = None) -> None:
        """Choose the epoch of the next iteration, and the batch it begins with.

        Without `first` a new epoch begins at 0; the same epoch keeps the place it was given.
        """
        if first is not None or epoch != int(self._next[0]):
            self._next[1] = first or 0
        self._next[0] = epoch

    def __iter__(self) -> Iterator[Any]:
        """The batches; what a worker gives is a `TensorBatch` where it arrives."""
        epoch, first = self._next.tolist()
        worker = get_worker_info()
        if worker is None:
            yield from (TensorBatch.of(self._read(epoch, number)) for number in range(first, len(self.stream)))
            return
        if self._coming is not None:
            self._coming.shutdown(cancel_futures=True)
        for number in range(first + worker.id, len(self.stream), worker.num_workers):
            yield self._handed(worker.id, epoch, number)
        self._begin(epoch + 1, worker.id, worker.num_workers)

    def _begin(self, epoch: int, worker: int, workers: int) -> None:
        """Let a thread read the shards of a worker's first batches of an epoch, before anyone asks for them."""
        self._coming = ThreadPoolExecutor(1, thread_name_prefix="next-epoch")
        if self.stream.shuffle:
            groups = self.stream.batches.groups
            for number in range(worker, len(self.stream), workers)[: groups // math.gcd(groups, workers)]:
                # an error is seen when it comes again with the batch
                self._coming.submit(self.stream.begin, epoch, number, self.share)

    def _read(self, epoch: int, number: int, empty: Empty = fresh) -> Batch:
        return self.stream.read(epoch, number, self.share, empty)

    def _handed(self, worker: int, epoch: int, number: int) -> TensorBatch | Filled:
        """A batch on its way to another process: in the ring, or by torch's own means where that is full."""
        ring = self._ring
        if ring is None or (slot := ring.free(worker)) is None:
            return TensorBatch.of(self._read(epoch, number))
        return Filled(ring, slot, self._read(epoch, number, lambda shape: ring.pixels(slot, shape)))


class TileLoader(DataLoader[TensorBatch]):
    """A `DataLoader` whose next batches a thread takes over while one is used."""

    def __iter__(self) -> Iterator[TensorBatch]:  # type: ignore[override]  # a generator, where torch has a class
        """The batches of the epoch, from the first one that was chosen."""
        # not our own length: torch remembers that of the first time, which may have begun in the middle of an epoch
        assert isinstance(self.dataset, BatchDataset)
        yield from read_ahead(itertools.islice(super().__iter__(), len(self.dataset)))

    def __len__(self) -> int:
        """Batches that the next iteration gives; torch's own would remember those of an epoch begun in its middle."""
        assert isinstance(self.dataset, BatchDataset)
        return len(self.dataset)


def make_loader(
    samples: SampleTable,
    cubes: Mapping[str, Path],
    batch_size: int,
    *,
    seed: int = 0,
    shuffle: bool = False,
    shuffle_shards: int = 8,
    augmentation: Augmentation = NONE,
    sampled: bool = False,
    workers: int = 0,
    epoch: int = 0,
    first_batch: int = 0,
    share: Share = WHOLE,
    pin_memory: bool = False,
) -> TileLoader:
    """A loader of `TensorBatch`; its order depends on (seed, epoch) alone.

    Args:
        samples: What to read.
        cubes: The cube of each tile.
        batch_size: Samples per batch, of all ranks together; the last one of an epoch may be smaller.
        seed: Of order and augmentation.
        shuffle: Mix anew in every epoch; otherwise storage order, lane by lane.
        shuffle_shards: Shards that a batch is mixed of.
        augmentation: What is done to samples, anew in every epoch.
        sampled: Draw half of the samples of each label, instead of taking each sample once.
        workers: Processes; 0 reads by a thread of this one. They start by `forkserver`, since a forked zarr deadlocks.
        epoch: Of the first iteration; later ones by `loader.dataset.set_epoch(epoch)`.
        first_batch: Where in that epoch to begin.
        share: The rank that reads, of how many.
        pin_memory: Batches in pinned memory, for a CUDA device.
    """
    stream = TileStream(samples, cubes, batch_size, seed, shuffle, shuffle_shards, augmentation, sampled)
    dataset = BatchDataset(stream, share, epoch, first_batch, workers)
    return TileLoader(
        dataset,
        batch_size=None,
        num_workers=workers,
        collate_fn=_unchanged,
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
        prefetch_factor=dataset.prefetch if workers else None,
        multiprocessing_context=_worker_context(augmentation.drops) if workers else None,
        worker_init_fn=_end_with_parent,
    )


def _worker_context(dropout: bool) -> BaseContext:
    """Workers forked from a server that has imported what they need and nothing more: torch is loaded once for all."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *["agri_assets.loading.dropout"] * dropout])
    return context


def _end_with_parent(worker: int) -> None:
    """Let this worker end with the process that loads, even if that is killed.

    Torch's own watch looks at the process that forked the worker: the server, which waits for its workers to end.
    """
    threading.Thread(target=_watch_parent, name="parent-watch", daemon=True).start()


def _watch_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has been started by some process"
    parent.join()
    os._exit(1)


def _unchanged(batch: Any) -> Any:
    return batch
