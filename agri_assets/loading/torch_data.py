"""The reader as a torch `DataLoader`: whole batches by number, so that workers share them without loss or overlap.

The loader hands out batch numbers in order and takes batches back in that order, whatever the number of workers; the
epoch travels with the number. Lightning sets the epoch by itself (`sampler.set_epoch`).
"""

import multiprocessing
from collections.abc import Iterator, Mapping
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from agri_assets.loading.ahead import ReadAhead
from agri_assets.loading.samples import SampleTable
from agri_assets.loading.stream import Batch, TileStream

PREFETCH = 4
"""Batches each worker makes ahead."""

Key = tuple[int, int]
"""(epoch, batch number)."""


class TensorBatch(NamedTuple):
    """A `Batch` as tensors: pixels uint16 (batch, bands, height, width), label float32, index int64."""

    pixels: torch.Tensor
    label: torch.Tensor
    index: torch.Tensor  # type: ignore[assignment]  # hides tuple.index, which no batch needs


class BatchSampler(Sampler[Key]):
    """The numbers of the batches of one epoch, in order, from a first one on.

    Attributes:
        batches: Batches in a whole epoch.
        epoch: The epoch that the next iteration hands out.
        first: Where in that epoch to begin, to continue an interrupted one; the epochs after it are whole.
    """

    def __init__(self, batches: int, epoch: int = 0, first: int = 0) -> None:
        self.batches, self.epoch, self.first = batches, epoch, first

    def __len__(self) -> int:
        return self.batches - self.first

    def __iter__(self) -> Iterator[Key]:
        return iter([(self.epoch, number) for number in range(self.first, self.batches)])

    def set_epoch(self, epoch: int, first: int | None = None) -> None:
        """Choose the epoch of the next iteration, and the batch it begins with.

        Without `first` a new epoch begins at 0; the same epoch keeps the place it was given.
        """
        if first is not None or epoch != self.epoch:
            self.first = first or 0
        self.epoch = epoch


class BatchDataset(Dataset[TensorBatch]):
    """The batches of a stream by (epoch, number); without worker processes a thread reads ahead."""

    def __init__(self, stream: TileStream) -> None:
        self.stream = stream
        self._ahead: tuple[int, ReadAhead[Batch]] | None = None

    def __len__(self) -> int:
        return len(self.stream)

    def __getstate__(self) -> dict[str, object]:
        """Threads stay behind."""
        return {**self.__dict__, "_ahead": None}

    def __getitem__(self, key: Key) -> TensorBatch:
        """Read one batch."""
        epoch, number = key
        if get_worker_info() is not None:
            return _tensors(self.stream.read(epoch, number))
        if self._ahead is None or self._ahead[0] != epoch:
            self.close()
            self._ahead = epoch, ReadAhead(lambda coming: self.stream.read(epoch, coming), len(self))
        return _tensors(self._ahead[1].get(number))

    def close(self) -> None:
        """Stop reading ahead."""
        if self._ahead is not None:
            self._ahead[1].close()
            self._ahead = None


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
    pin_memory: bool = False,
) -> "DataLoader[TensorBatch]":
    """A loader of `TensorBatch`; its order depends on (seed, epoch) alone.

    Args:
        samples: What to read.
        cubes: The cube of each tile.
        batch_size: Samples per batch; the last one of an epoch may be smaller.
        seed: Of order and orientations.
        shuffle: Mix anew in every epoch; otherwise storage order.
        shuffle_shards: Shards mixed at a time, and held by each worker.
        orientations: Turn and mirror samples at random.
        workers: Processes; 0 reads by a thread of this one. They start by `forkserver`, since a forked zarr deadlocks.
        epoch: Of the first iteration; later ones by `loader.sampler.set_epoch(epoch)`, which Lightning calls itself.
        first_batch: Where in that epoch to begin.
        pin_memory: Batches in pinned memory, for a CUDA device.
    """
    stream = TileStream(samples, cubes, batch_size, seed, shuffle, shuffle_shards, orientations)
    return DataLoader(
        BatchDataset(stream),
        batch_size=None,
        sampler=BatchSampler(len(stream), epoch, first_batch),
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


def _tensors(batch: Batch) -> TensorBatch:
    return TensorBatch(*(torch.from_numpy(array) for array in batch))


def _unchanged(batch: Any) -> Any:
    return batch
