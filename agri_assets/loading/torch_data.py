"""The reader as a torch `DataLoader` over an `IterableDataset`: workers and ranks share whole batches, none twice.

Batch `b` of an epoch is made by worker `b % workers`, and the loader takes batches back in that order; so the order is
the stream's own, whatever the number of workers.
"""

import multiprocessing
from collections.abc import Iterator, Mapping
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from agri_assets.loading.ahead import ReadAhead
from agri_assets.loading.order import WHOLE, Share
from agri_assets.loading.ring import Filled, Ring, TensorBatch
from agri_assets.loading.samples import SampleTable
from agri_assets.loading.stream import TileStream

PREFETCH = 4
"""Batches each worker makes ahead."""

HELD = 2
"""Batches of one worker that the consumer may hold on to before the others travel more slowly."""


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
        self._ring = Ring(workers, PREFETCH + HELD, stream.batch_bytes(share)) if workers else None
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
        """The batches, each a `TensorBatch` where it arrives; without workers they are read ahead by a thread."""
        epoch, first = self._next.tolist()
        if (worker := get_worker_info()) is not None:
            for number in range(first + worker.id, len(self.stream), worker.num_workers):
                yield self._handed(worker.id, epoch, number)
            return
        ahead = ReadAhead(lambda number: self.stream.read(epoch, number, self.share), len(self.stream))
        try:
            for number in range(first, len(self.stream)):
                yield TensorBatch.of(ahead.get(number))
        finally:
            ahead.close()

    def _handed(self, worker: int, epoch: int, number: int) -> TensorBatch | Filled:
        """A batch on its way to another process: in the ring, or by torch's own means where that is full."""
        ring = self._ring
        if ring is None or (slot := ring.free(worker)) is None:
            return TensorBatch.of(self.stream.read(epoch, number, self.share))
        batch = self.stream.read(epoch, number, self.share, lambda shape: ring.pixels(slot, shape))
        return Filled(ring, slot, batch)


def make_loader(
    samples: SampleTable,
    cubes: Mapping[str, Path],
    batch_size: int,
    *,
    seed: int = 0,
    shuffle: bool = False,
    shuffle_shards: int = 8,
    orientations: bool = False,
    workers: int = 0,
    epoch: int = 0,
    first_batch: int = 0,
    share: Share = WHOLE,
    pin_memory: bool = False,
) -> "DataLoader[TensorBatch]":
    """A loader of `TensorBatch`; its order depends on (seed, epoch) alone.

    Args:
        samples: What to read.
        cubes: The cube of each tile.
        batch_size: Samples per batch, of all ranks together; the last one of an epoch may be smaller.
        seed: Of order and orientations.
        shuffle: Mix anew in every epoch; otherwise storage order, lane by lane.
        shuffle_shards: Shards that a batch is mixed of.
        orientations: Turn and mirror samples at random.
        workers: Processes; 0 reads by a thread of this one. They start by `forkserver`, since a forked zarr deadlocks.
        epoch: Of the first iteration; later ones by `loader.dataset.set_epoch(epoch)`.
        first_batch: Where in that epoch to begin.
        share: The rank that reads, of how many.
        pin_memory: Batches in pinned memory, for a CUDA device.
    """
    stream = TileStream(samples, cubes, batch_size, seed, shuffle, shuffle_shards, orientations)
    return DataLoader(
        BatchDataset(stream, share, epoch, first_batch, workers),
        batch_size=None,
        num_workers=workers,
        collate_fn=_unchanged,
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
        prefetch_factor=PREFETCH if workers else None,
        multiprocessing_context=_worker_context() if workers else None,
    )


def _worker_context() -> BaseContext:
    """Workers forked from a server that has imported this module and nothing more: torch is loaded once for all."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _unchanged(batch: Any) -> Any:
    return batch
