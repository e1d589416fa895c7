"""What happens to samples on their way into a batch, chosen by (seed, epoch, sample) alone.

The eight orientations of a tile are views, so that turning costs no copy; see `dropout` for what is dropped.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agri_assets.splits.shards import Pixels

Chance = NDArray[np.uint64]
"""For each sample one of 2^64 numbers that are equally likely."""

ORIENTATIONS = 8
"""Of a square: four turns, each mirrored or not."""

_GOLDEN, _MIX_1, _MIX_2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
"""Constants of SplitMix64 (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014)."""


@dataclass(frozen=True)
class Augmentation:
    """What is done to train samples, anew in every epoch.

    Attributes:
        orientations: Turn and mirror.
        band_dropout: Probability that a sample loses some of its bands.
        coarse_dropout: Probability that a sample gets rectangular holes.
        fill: What is put where something is dropped, a value for each band.
    """

    orientations: bool = False
    band_dropout: float = 0.0
    coarse_dropout: float = 0.0
    fill: tuple[int, ...] = ()

    @property
    def drops(self) -> bool:
        """Whether it drops anything."""
        return self.band_dropout > 0 or self.coarse_dropout > 0


NONE = Augmentation()


def chances(seed: int, epoch: int, index: NDArray[np.int64], purpose: int) -> Chance:
    """A random number for each sample: independent of batches, workers and the order of reading.

    Args:
        seed: Of the whole training.
        epoch: Number of the pass.
        index: Number of each sample in its table.
        purpose: What it is for: numbers for different purposes have nothing to do with each other.
    """
    start = np.random.SeedSequence([seed, epoch, purpose]).generate_state(1, np.uint64)[0]
    return _splitmix(start + _GOLDEN * (index.astype(np.uint64) + np.uint64(1)))


def choose_orientations(seed: int, epoch: int, index: NDArray[np.int64]) -> NDArray[np.uint8]:
    """An orientation, 0 to 7, for each sample; arguments as of `chances`."""
    # the high bits are the better mixed ones
    return np.asarray(chances(seed, epoch, index, 0) >> np.uint64(61), dtype=np.uint8)


def orient(tile: Pixels, orientation: int) -> Pixels:
    """A view of a tile (bands, height, width), turned and mirrored; orientation 0 leaves it as it is.

    Bit 0 mirrors left and right, bit 1 up and down, bit 2 swaps rows and columns: together all eight.
    """
    if orientation & 1:
        tile = tile[:, :, ::-1]
    if orientation & 2:
        tile = tile[:, ::-1]
    return tile.transpose(0, 2, 1) if orientation & 4 else tile


def _splitmix(state: Chance) -> Chance:
    state = (state ^ (state >> np.uint64(30))) * _MIX_1
    state = (state ^ (state >> np.uint64(27))) * _MIX_2
    return state ^ (state >> np.uint64(31))
