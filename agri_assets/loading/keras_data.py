"""The reader as a Keras `PyDataset`: the same batches in the same order as the torch loader's, bands last."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from agri_assets.loading.ahead import ReadAhead
from agri_assets.loading.samples import SampleTable
from agri_assets.loading.stream import TileStream

KerasBatch = tuple[NDArray[np.generic], NDArray[np.float32]]
"""Pixels (batch, height, width, bands) and target (batch,)."""


class TileSequence(keras.utils.PyDataset):  # type: ignore[misc]  # keras has no types
    """(pixels, target) batches: pixels (batch, height, width, bands) in the cube's own counts, target (batch,) float32.

    Pass `shuffle=False` and `callbacks=[EpochOrder(sequence)]` to `fit`: the order is this reader's own, set by (seed,
    epoch), while Keras would shuffle batches without a seed.
    """

    def __init__(
        self,
        samples: SampleTable,
        cubes: Mapping[str, Path],
        batch_size: int,
        *,
        epoch: int = 0,
        dtype: str = "float32",
        targets: NDArray[np.generic] | None = None,
        **reading: Any,
    ) -> None:
        """Read nothing yet.

        Args:
            samples: What to read.
            cubes: The cube of each tile.
            batch_size: Samples per batch; the last one of an epoch may be smaller.
            epoch: The epoch that is read until another one is set.
            dtype: Of the pixels: `float32`, which every backend takes, or `uint16`.
            targets: What to learn of each sample, (samples,), such as the number of its class; without them its label.
            reading: Order and augmentation, as of `TileStream`: `seed`, `shuffle`, `augmentation` and so on.
        """
        # one worker: Keras then asks in order, and the thread of ReadAhead is what overlaps reading with training
        super().__init__(workers=1, use_multiprocessing=False)
        self.stream = TileStream(samples, cubes, batch_size, **reading)
        self.epoch, self.dtype = epoch, dtype
        self.targets = samples.label if targets is None else targets
        self._ahead: ReadAhead[KerasBatch] | None = None

    def __len__(self) -> int:
        """Batches in one epoch."""
        return len(self.stream)

    def __getitem__(self, number: int) -> KerasBatch:
        """Batch `number` of the current epoch."""
        if self._ahead is None:
            epoch = self.epoch
            self._ahead = ReadAhead(lambda coming: self.read(epoch, coming), len(self))
        return self._ahead.get(number)

    def read(self, epoch: int, number: int) -> KerasBatch:
        """Batch `number` of `epoch`, read now; for one caller at a time."""
        batch = self.stream.read(epoch, number)
        pixels = np.ascontiguousarray(batch.pixels.transpose(0, 2, 3, 1), dtype=self.dtype)
        return pixels, self.targets[batch.index].astype(np.float32)

    def batches(self, epoch: int, first: int = 0) -> Iterator[KerasBatch]:
        """The batches of an epoch from a first one on, read ahead by a thread."""
        self.set_epoch(epoch)
        try:
            for number in range(first, len(self)):
                yield self[number]
        finally:
            self.set_epoch(epoch)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order is read from now on."""
        if self._ahead is not None:
            self._ahead.close()
        self.epoch, self._ahead = epoch, None


class EpochOrder(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
    """Gives each epoch of `fit` its own order, also where `fit` begins at `initial_epoch`.

    The sequence does not count epochs by itself: Keras also ends an "epoch" after peeking at a first batch to build a
    model.
    """

    def __init__(self, sequence: TileSequence) -> None:
        super().__init__()
        self.sequence = sequence

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Choose the order of the epoch that begins; called by Keras."""
        self.sequence.set_epoch(epoch)
