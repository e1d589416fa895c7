"""The reader as a `tf.data` pipeline, for Keras on its tensorflow backend."""

import logging
import math
import shutil
from pathlib import Path

import numpy as np
import tensorflow as tf

from agri_assets.cube.open import cube_info
from agri_assets.loading.keras_data import TileSequence
from agri_assets.splits.shards import ShardLayout

logger = logging.getLogger(__name__)

FREE_SHARE = 0.5
"""Share of a disk's free space that a cache may take."""


def tile_dataset(sequence: TileSequence, epoch: int = 0, first: int = 0) -> tf.data.Dataset:
    """The batches of one epoch from a first one on, in the sequence's own order, prefetched.

    Pixels stay in the sequence's dtype: with `uint16` half the bytes move, and the device makes numbers of them.

    Args:
        sequence: Where the batches are read, by one iteration at a time.
        epoch: Number of the pass.
        first: The batch to begin with.
    """
    return _generated(sequence, epoch, first).prefetch(tf.data.AUTOTUNE)


def cached_dataset(sequence: TileSequence, cache: Path) -> tf.data.Dataset:
    """The same for batches that come alike in every epoch, as those of val: the first pass keeps them on disk.

    Train is not to be cached: each of its epochs has an order and orientations of its own, and a cache would give those
    of the first again and again.

    Args:
        sequence: Where the batches are read in the first pass.
        cache: Stem of the cache's files. What an interrupted pass left there is removed, and where the disk has too
            little space nothing is kept. Nobody else may be using it.
    """
    data = _generated(sequence, sequence.epoch, 0)
    if _usable(cache, len(sequence.targets) * math.prod(_shape(sequence)) * np.dtype(sequence.dtype).itemsize):
        data = data.cache(str(cache))
    return data.prefetch(tf.data.AUTOTUNE)


def _generated(sequence: TileSequence, epoch: int, first: int) -> tf.data.Dataset:
    signature = (
        tf.TensorSpec((None, *_shape(sequence)), tf.as_dtype(sequence.dtype)),
        tf.TensorSpec((None,), tf.float32),
    )
    return tf.data.Dataset.from_generator(
        lambda: (sequence.read(epoch, number) for number in range(first, len(sequence))), output_signature=signature
    )


def _shape(sequence: TileSequence) -> tuple[int, int, int]:
    """(height, width, bands): the cubes of a collection have tiles of one size."""
    bands, height, width = ShardLayout.of(cube_info(next(iter(sequence.stream.cubes.values())))).tile_shape
    return height, width, bands


def _usable(cache: Path, size: int) -> bool:
    """Whether a cache is whole, or can be made: then nothing is in its way."""
    if _whole(cache):
        return True
    for left in cache.parent.glob(f"{cache.name}*"):
        left.unlink()
    cache.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache.parent).free
    if size > FREE_SHARE * free:
        logger.info("%s: no cache, it would take %.1f GB of the %.1f GB free", cache, size / 1e9, free / 1e9)
        return False
    return True


def _whole(cache: Path) -> bool:
    """Whether a pass came to its end: the index of the cache, written last, can be read."""
    try:
        tf.train.load_checkpoint(str(cache))
    except (tf.errors.OpError, ValueError):
        return False
    return True
