"""The order of samples, by (seed, epoch): shards shuffled, dealt to lanes, and mixed in a window moving over each lane.

A lane is a stretch of the epoch with shards of its own. Batch `b` takes its samples from the lanes of group
`b % GROUPS`, a part from each. So batches can be divided among workers, and the parts of each among ranks, and hardly a
shard is read by two of them, while the order itself knows of neither.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]
Numbers = NDArray[np.int32]

GROUPS = 4
"""Groups of lanes: up to so many workers read no shard twice, and any number that divides it."""

PARTS = 4
"""Lanes of a group: up to so many ranks read no shard twice, and any number that divides it."""

PIECE = 2**16
"""Samples looked at at once."""

Share = tuple[int, int]
"""A rank, and how many there are."""

WHOLE: Share = (0, 1)
"""Of a training on one device."""


@dataclass(frozen=True)
class Batches:
    """How an epoch is cut into batches, and these into parts.

    Attributes:
        samples: In the epoch.
        size: Samples of a batch; the last one may be smaller.
        groups: Groups of lanes.
        parts: Lanes of a group.
    """

    samples: int
    size: int
    groups: int = GROUPS
    parts: int = PARTS

    def __len__(self) -> int:
        return -(-self.samples // self.size)

    @property
    def lanes(self) -> int:
        """All lanes of all groups."""
        return self.groups * self.parts

    def cuts(self, number: int) -> Index:
        """Where each part of a batch begins in the order, with the end of the last."""
        start = number * self.size
        return cuts(min(self.size, self.samples - start), self.parts) + start

    def share(self, number: int, share: Share) -> tuple[int, int]:
        """Where a rank's share of a batch begins and ends in the order: whole parts, if they can be dealt evenly."""
        rank, ranks = share
        parts = self.cuts(number)
        if self.parts % ranks:
            parts = cuts(int(parts[-1] - parts[0]), ranks) + parts[0]
        each = (len(parts) - 1) // ranks
        return int(parts[rank * each]), int(parts[(rank + 1) * each])

    def lane_sizes(self) -> Index:
        """Samples of each lane; those of a group follow each other."""
        whole, rest = divmod(self.samples, self.size)
        full = -(-(whole - np.arange(self.groups)) // self.groups)
        sizes = np.outer(full, np.diff(cuts(self.size, self.parts)))
        if rest:
            sizes[whole % self.groups] += np.diff(cuts(rest, self.parts))
        return sizes.ravel()


def cuts(count: int, parts: int) -> Index:
    """Where each of some parts of a range begins, as equal as can be, with the end of the last."""
    return np.arange(parts + 1) * count // parts


def batches_of(samples: int, shards: int, size: int, window: int) -> Batches:
    """How to cut an epoch that is shuffled: into fewer groups where there are few shards, so that each lane mixes some.

    Args:
        samples: In the epoch.
        shards: That hold them.
        size: Samples of a batch.
        window: Shards that every batch is mixed of.
    """
    groups = GROUPS
    while groups > 1 and shards < groups * max(window, PARTS):
        groups //= 2
    return Batches(samples, size, groups)


def epoch_order(
    shard: NDArray[np.integer], batches: Batches, shuffle: tuple[int, int] | None = None, window: int = 1
) -> Numbers:
    """Indexes of the samples for one epoch, batch after batch: each once.

    Args:
        shard: For each sample the number of its shard, 0 to N - 1.
        batches: How the epoch is cut.
        shuffle: Seed of the whole training and number of the pass; without it the lanes are as stored.
        window: Shards that every batch is mixed of, at least, where there are so many.
    """
    if not len(shard):
        return np.zeros(0, dtype=np.int32)
    count = int(shard.max()) + 1
    random = np.random.default_rng(shuffle)
    turns = random.permutation(count).astype(np.int32) if shuffle else np.arange(count, dtype=np.int32)
    by_turn = _sorted_by(lambda start: turns[shard[start : start + PIECE]], len(shard), count)
    order, ends = np.empty_like(by_turn), np.cumsum(batches.lane_sizes()).tolist()
    for lane, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        mine = by_turn[start:end]
        if shuffle:
            mine = mine[_mixed(turns[shard[mine]], -(-window // batches.parts), random)]
        _deal(mine, lane, batches, order)
    return order


def _deal(mine: Numbers, lane: int, batches: Batches, order: Numbers) -> None:
    """Put a lane's samples into their parts of the batches."""
    group, part = divmod(lane, batches.parts)
    for number in range(group, len(batches), batches.groups):
        start, end = batches.cuts(number)[part : part + 2].tolist()
        order[start:end], mine = mine[: end - start], mine[end - start :]


def _mixed(turn: Numbers, window: int, random: np.random.Generator) -> Index:
    """An order of a lane's samples in which at any moment some of `window` shards leave.

    Think of the shard that comes s-th as being read at time s and kept for `window` units of time; each of its samples
    leaves at a random moment of that span. At both ends of the lane the spans are cut so that the first and the last
    samples, too, leave from among `window` shards. A reader that follows this order holds at most `window` shards, and
    one more while one replaces another.

    Args:
        turn: When the shard of each sample comes, rising.
        window: Shards mixed at a time.
        random: Where chance comes from.
    """
    if not len(turn):
        return np.zeros(0, dtype=np.int64)
    turn = turn - turn[0]
    count = int(turn[-1]) + 1
    begin = np.maximum(turn, min(window, count) - 1)
    end = np.minimum(turn + window, count)
    return np.argsort(begin + (end - begin) * random.random(len(turn), dtype=np.float32), kind="stable")


def _sorted_by(keys: Callable[[int], NDArray[np.integer]], count: int, groups: int) -> Numbers:
    """A stable sort by counting.

    Args:
        keys: Gives the keys, 0 to `groups` - 1, of the samples from a first one on, `PIECE` of them.
        count: Samples.
        groups: How many keys there may be.

    Returns:
        Indexes of the samples by key.
    """
    following = np.zeros(groups + 1, dtype=np.int64)
    for start in range(0, count, PIECE):
        following[1:] += np.bincount(keys(start), minlength=groups)
    following = np.cumsum(following)[:-1]
    order = np.empty(count, dtype=np.int32)
    for start in range(0, count, PIECE):
        piece = keys(start)
        rising = np.argsort(piece, kind="stable")
        ordered, many = piece[rising], np.bincount(piece, minlength=groups)
        # the place of each among those of its key in this piece
        rank = np.arange(len(piece)) - (np.cumsum(many) - many)[ordered]
        order[following[ordered] + rank] = start + rising
        following += many
    return order
