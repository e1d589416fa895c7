"""Shared memory that workers fill and their consumer gives back, used again and again.

Fresh shared memory for each batch would have to be cleared by the system and mapped by two processes, which takes
longer than to decode the batch. Here it is mapped once: a worker fills a slot of its own and sends its number, and the
slot is free again when the consumer has forgotten the batch and all views of it.
"""

import math
import weakref
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
import torch
from numpy.typing import NDArray

from agri_assets.loading.stream import Batch
from agri_assets.splits.shards import Pixels


class TensorBatch(NamedTuple):
    """A `Batch` as tensors: pixels uint16 (batch, bands, height, width), label float32, index int64."""

    pixels: torch.Tensor
    label: torch.Tensor
    index: torch.Tensor  # type: ignore[assignment]  # hides tuple.index, which no batch needs

    @classmethod
    def of(cls, batch: Batch) -> "TensorBatch":
        """The same memory as tensors."""
        return cls(*(torch.from_numpy(array) for array in batch))


class Ring:
    """Slots for batches, some for each worker of one loader; made where the batches are used.

    Attributes:
        name: By which batches that arrive find it.
        used: For each slot whether a batch is in it: set by its worker, cleared where the batch is used.
    """

    def __init__(self, workers: int, slots: int, size: int) -> None:
        """Take the memory.

        Args:
            workers: Processes that fill it.
            slots: Of each.
            size: Bytes of the largest batch.
        """
        self.name, self._workers = uuid4().hex, workers
        # as torch's own collation does in a worker
        storage = torch.UntypedStorage._new_shared(workers * slots * size, device="cpu")  # type: ignore[no-untyped-call]
        self._memory = torch.empty(0, dtype=torch.uint8).set_(storage).view(workers * slots, size)
        self._flags = torch.zeros(workers * slots, dtype=torch.uint8).share_memory_()  # type: ignore[no-untyped-call]
        self._open()
        _rings[self.name] = self

    def _open(self) -> None:
        self._bytes: NDArray[np.uint8] = self._memory.numpy()
        self.used: NDArray[np.uint8] = self._flags.numpy()

    def __getstate__(self) -> dict[str, Any]:
        """What a worker needs to map the same memory."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_bytes", "used")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def free(self, worker: int) -> int | None:
        """A slot of a worker that holds no batch; None where all do."""
        mine = range(worker, len(self.used), self._workers)
        return next((slot for slot in mine if not self.used[slot]), None)

    def pixels(self, slot: int, shape: tuple[int, ...]) -> Pixels:
        """The memory of a slot as pixels of a batch."""
        size = math.prod(shape) * np.dtype(np.uint16).itemsize
        return self._bytes[slot, :size].view(np.uint16).reshape(shape)


_rings: "weakref.WeakValueDictionary[str, Ring]" = weakref.WeakValueDictionary()


class Filled:
    """A batch in a slot of a ring: what a worker sends. It arrives as a `TensorBatch`."""

    def __init__(self, ring: Ring, slot: int, batch: Batch) -> None:
        self._arguments = ring.name, slot, batch.pixels.shape, batch.label, batch.index
        ring.used[slot] = 1

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, self._arguments


class _Lease:
    """Keeps a slot as long as any array or tensor looks at its memory: all of them hold this object."""

    def __init__(self, ring: Ring, slot: int, shape: tuple[int, ...]) -> None:
        self._ring, self._slot = ring, slot
        self.__array_interface__ = ring.pixels(slot, shape).__array_interface__

    def __del__(self) -> None:
        self._ring.used[self._slot] = 0


def _arrived(name: str, slot: int, shape: tuple[int, ...], label: Any, index: Any) -> TensorBatch:
    return TensorBatch.of(Batch(np.asarray(_Lease(_rings[name], slot, shape)), label, index))
