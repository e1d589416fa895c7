"""The reader as a Keras `PyDataset`: the same batches in the same order as the torch loader's, bands last."""

from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from agri_assets.loading.ahead import ReadAhead
from agri_assets.loading.augment import NONE, Augmentation
from agri_assets.loading.samples import SampleTable
from agri_assets.loading.stream import Batch, TileStream


class TileSequence(keras.utils.PyDataset):  # type: ignore[misc]  # keras has no types
    """(pixels, label) batches: pixels (batch, height, width, bands) in the cube's own counts, label (batch,) float32.

    Pass `shuffle=False` and `callbacks=[EpochOrder(sequence)]` to `fit`: the order is this reader's own, set by (seed,
    epoch), while Keras would shuffle batches without a seed.
    """

    def __init__(
        self,
        samples: SampleTable,
        cubes: Mapping[str, Path],
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: bool = False,
        shuffle_shards: int = 8,
        augmentation: Augmentation = NONE,
        sampled: bool = False,
        epoch: int = 0,
        dtype: str = "float32",
    ) -> None:
        """Read nothing yet.

        Args:
            samples: What to read.
            cubes: The cube of each tile.
            batch_size: Samples per batch; the last one of an epoch may be smaller.
            seed: Of order and augmentation.
            shuffle: Mix anew in every epoch; otherwise storage order.
            shuffle_shards: Shards mixed at a time.
            augmentation: What is done to samples, anew in every epoch.
            sampled: Draw half of the samples of each label, instead of taking each sample once.
            epoch: The epoch that is read until another one is set.
            dtype: Of the pixels: `float32`, which every backend takes, or `uint16`.
        """
        # one worker: Keras then asks in order, and the thread of ReadAhead is what overlaps reading with training
        super().__init__(workers=1, use_multiprocessing=False)
        self.stream = TileStream(samples, cubes, batch_size, seed, shuffle, shuffle_shards, augmentation, sampled)
        self.epoch, self.dtype = epoch, dtype
        self._ahead: ReadAhead[Batch] | None = None

    def __len__(self) -> int:
        """Batches in one epoch."""
        return len(self.stream)

    def __getitem__(self, number: int) -> tuple[NDArray[np.generic], NDArray[np.float32]]:
        """Batch `number` of the current epoch."""
        if self._ahead is None:
            epoch = self.epoch
            self._ahead = ReadAhead(lambda coming: self.stream.read(epoch, coming), len(self))
        batch = self._ahead.get(number)
        return np.ascontiguousarray(batch.pixels.transpose(0, 2, 3, 1), dtype=self.dtype), batch.label

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
