"""The eight orientations of a tile, chosen by (seed, epoch, sample) alone: views, so that turning costs no copy."""

import numpy as np
from numpy.typing import NDArray

from agri_assets.splits.shards import Pixels

ORIENTATIONS = 8
"""Of a square: four turns, each mirrored or not."""

_GOLDEN, _MIX_1, _MIX_2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
"""Constants of SplitMix64 (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014)."""


def choose_orientations(seed: int, epoch: int, index: NDArray[np.int64]) -> NDArray[np.uint8]:
    """An orientation, 0 to 7, for each sample: independent of batches, workers and the order of reading.

    Args:
        seed: Of the whole training.
        epoch: Number of the pass.
        index: Number of each sample in its table.
    """
    start = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0]
    mixed = _splitmix(start + _GOLDEN * (index.astype(np.uint64) + np.uint64(1)))
    # the high bits are the better mixed ones
    return np.asarray(mixed >> np.uint64(61), dtype=np.uint8)


def orient(tile: Pixels, orientation: int) -> Pixels:
    """A view of a tile (bands, height, width), turned and mirrored; orientation 0 leaves it as it is.

    Bit 0 mirrors left and right, bit 1 up and down, bit 2 swaps rows and columns: together all eight.
    """
    if orientation & 1:
        tile = tile[:, :, ::-1]
    if orientation & 2:
        tile = tile[:, ::-1]
    return tile.transpose(0, 2, 1) if orientation & 4 else tile


def _splitmix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * _MIX_1
    state = (state ^ (state >> np.uint64(27))) * _MIX_2
    return state ^ (state >> np.uint64(31))
