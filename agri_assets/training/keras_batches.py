"""The batches of a Keras training, by the backend that Keras runs on: the same ones in the same order."""

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import keras

from agri_assets.loading.classes import targets
from agri_assets.loading.keras_data import TileSequence
from agri_assets.objects import ObjectPath
from agri_assets.store.layout import cache_folder
from agri_assets.training.recipe import Recipe
from agri_assets.training.task import Task

VAL_CACHE = "val"
"""Stem of the files that keep the batches of val."""


class Batches(Protocol):
    """Where the batches of a training come from: pixels uint16 (b, height, width, bands) and a number (b,) for each."""

    def __init__(self, train: TileSequence, val: TileSequence, cache: Path) -> None:
        """Read nothing yet; `cache` is where files may be kept until the training is over."""

    @staticmethod
    def prepare(recipe: Recipe) -> bool:
        """Seed what networks are built with, and set up the backend; tells whether it has a GPU."""

    def train(self, epoch: int, first: int) -> Iterable[tuple[Any, Any]]:
        """Those of an epoch from a first one on, with the number of the class of each tile."""

    def val(self) -> Iterable[tuple[Any, Any]]:
        """Those of val, with the label of each tile."""


@dataclass(frozen=True)
class TorchBatches:
    """See `Batches`; read ahead by a thread."""

    training: TileSequence
    validation: TileSequence
    cache: Path

    @staticmethod
    def prepare(recipe: Recipe) -> bool:
        """See `Batches`."""
        import torch

        # Keras draws the seeds of first weights from Python's numbers; its set_random_seed would import tensorflow
        random.seed(recipe.seed)
        return torch.cuda.is_available()

    def train(self, epoch: int, first: int) -> Iterator[tuple[Any, Any]]:
        """See `Batches`."""
        return _moved(self.training.batches(epoch, first))

    def val(self) -> Iterator[tuple[Any, Any]]:
        """See `Batches`."""
        return _moved(self.validation.batches(0))


@dataclass(frozen=True)
class TensorflowBatches:
    """See `Batches`; a `tf.data` pipeline, with the batches of val kept on disk."""

    training: TileSequence
    validation: TileSequence
    cache: Path

    @staticmethod
    def prepare(recipe: Recipe) -> bool:
        """See `Batches`; kernels give the same result every time, so that a resumed training ends as any other."""
        import tensorflow as tf

        keras.utils.set_random_seed(recipe.seed)
        if not recipe.compile:  # XLA has kernels of its own
            tf.config.experimental.enable_op_determinism()
        return bool(tf.config.list_physical_devices("GPU"))

    def train(self, epoch: int, first: int) -> Iterable[tuple[Any, Any]]:
        """See `Batches`."""
        from agri_assets.loading.tf_data import tile_dataset

        dataset: Iterable[tuple[Any, Any]] = tile_dataset(self.training, epoch, first)
        return dataset

    def val(self) -> Iterable[tuple[Any, Any]]:
        """See `Batches`."""
        from agri_assets.loading.tf_data import cached_dataset

        dataset: Iterable[tuple[Any, Any]] = cached_dataset(self.validation, self.cache)
        return dataset


BACKENDS: dict[str, type[TorchBatches] | type[TensorflowBatches]] = {
    "torch": TorchBatches,
    "tensorflow": TensorflowBatches,
}
"""What Keras may run on here, with the way its batches are read."""


@contextmanager
def batches_for(task: Task) -> Iterator[TorchBatches | TensorflowBatches]:
    """The batches of a training; what is kept of them on disk goes when it is over, and stays if it breaks off."""
    train = TileSequence(**task.reading(training=True), dtype="uint16", targets=targets(task.train, task.classes))
    val = TileSequence(**task.reading(training=False), dtype="uint16")
    here = cache_folder() / task.folder.name if isinstance(task.folder, ObjectPath) else task.checkpoints
    cache = here / VAL_CACHE
    yield BACKENDS[keras.backend.backend()](train, val, cache)
    for kept in here.glob(f"{VAL_CACHE}*"):
        kept.unlink()


def _moved(batches: Iterator[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    """The batches on the device, as torch's own tensors: of an array of uint16 Keras would make int32 before."""
    import torch

    for batch in batches:
        pixels, numbers = (keras.ops.convert_to_tensor(torch.from_numpy(array)) for array in batch)
        yield pixels, numbers
