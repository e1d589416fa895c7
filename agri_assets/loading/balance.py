"""Drawing samples so that both labels come alike often: a function of (seed, epoch) alone, in a few bytes a sample."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from agri_assets.loading.order import PIECE, Index, Numbers

PURPOSE = 3
"""Tells these random numbers from those of the order, which have the same seed and epoch."""


def balanced_draw(label: NDArray[np.uint8], seed: int, epoch: int) -> Numbers:
    """As many samples as there are, half of them of each label; which of a label come is drawn anew in every epoch.

    A label that has more than half of the samples gives each at most once. One that has fewer gives each as often as
    the next, or once more. With an odd number of samples label 0 gets the one that is over.

    Args:
        label: Of each sample, 0 or 1, both present.
        seed: Of the whole training.
        epoch: Number of the pass.

    Returns:
        Indexes of samples, rising; one that comes several times stands there several times.
    """
    random = np.random.default_rng([seed, epoch, PURPOSE])
    positives = int(np.count_nonzero(label))
    sizes = len(label) - positives, positives
    shares = [
        _Share(size, half) for size, half in zip(sizes, (len(label) - len(label) // 2, len(label) // 2), strict=True)
    ]
    drawn, filled = np.empty(len(label), dtype=np.int32), 0
    for start in range(0, len(label), PIECE):
        piece = label[start : start + PIECE]
        times = np.zeros(len(piece), dtype=np.int64)
        for value, share in enumerate(shares):
            mine = np.flatnonzero(piece == value)
            times[mine] = share.times(len(mine), random)
        found = np.repeat(np.arange(start, start + len(piece)), times)
        drawn[filled : filled + len(found)] = found
        filled += len(found)
    return drawn


@dataclass
class _Share:
    """What is still to be drawn of one label: `more` of the `left` samples come once more often than the others."""

    left: int
    wanted: int
    each: int = field(init=False)
    more: int = field(init=False)

    def __post_init__(self) -> None:
        self.each, self.more = divmod(self.wanted, self.left)

    def times(self, count: int, random: np.random.Generator) -> Index:
        """How often each of the next `count` samples comes."""
        times = np.full(count, self.each, dtype=np.int64)
        if count:
            # as if `more` were drawn out of all that are left, and these were the first of them
            more = int(random.hypergeometric(self.more, self.left - self.more, count))
            times[random.choice(count, more, replace=False, shuffle=False)] += 1
            self.left, self.more = self.left - count, self.more - more
        return times


def renumbered(shard: Numbers, count: int) -> Numbers:
    """Shards numbered without gaps: some of `count` may have no sample that was drawn."""
    present = np.zeros(count, dtype=bool)
    present[shard] = True
    number = np.cumsum(present, dtype=np.int32) - np.int32(1)
    return np.asarray(number[shard])
