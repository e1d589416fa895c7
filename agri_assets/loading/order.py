"""The order of samples: shards shuffled, then mixed in a window that moves over them; by (seed, epoch) alone.

Orders are made in pieces: beside the result they need eight bytes a sample in passing, not fifty.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]
Numbers = NDArray[np.int32]

PIECE = 2**16
"""Samples looked at at once."""


def storage_order(shard: NDArray[np.integer]) -> Numbers:
    """Indexes of the samples by shard, as stored."""
    count = int(shard.max(initial=-1)) + 1
    return _sorted_by(lambda start: shard[start : start + PIECE], len(shard), count)[0]


def shuffled_order(shard: NDArray[np.integer], seed: int, epoch: int, shuffle_shards: int) -> Numbers:
    """Indexes of the samples for one epoch: each once, and at any moment from `shuffle_shards` shards.

    Shards come in an order of their own. Think of the shard that comes s-th as being read at time s and kept for
    `shuffle_shards` units of time; each of its samples leaves at a random moment of that span. At both ends of the
    epoch the spans are cut so that the first and the last samples, too, leave from among `shuffle_shards` shards. A
    reader that follows this order holds at most `shuffle_shards` shards, and one more while one replaces another.

    Args:
        shard: For each sample the number of its shard, 0 to N - 1.
        seed: Of the whole training.
        epoch: Number of the pass.
        shuffle_shards: Shards mixed at a time.
    """
    if not len(shard):
        return np.zeros(0, dtype=np.int32)
    random = np.random.default_rng([seed, epoch])
    count = int(shard.max()) + 1
    turns = random.permutation(count)
    moment = np.empty(len(shard))
    for start in range(0, len(shard), PIECE):
        turn = turns[shard[start : start + PIECE]]
        begin = np.maximum(turn, min(shuffle_shards, count) - 1)
        end = np.minimum(turn + shuffle_shards, count)
        moment[start : start + PIECE] = begin + (end - begin) * random.random(len(turn))
    # rounding may lift a moment to the end of its span
    units = count + 1
    order, starts = _sorted_by(lambda start: moment[start : start + PIECE].astype(np.int64), len(shard), units)
    for unit in range(units):
        mine = order[starts[unit] : starts[unit + 1]]
        mine[:] = mine[np.argsort(moment[mine], kind="stable")]
    return order


def _sorted_by(keys: Callable[[int], NDArray[np.integer]], count: int, groups: int) -> tuple[Numbers, Index]:
    """A stable sort by counting.

    Args:
        keys: Gives the keys, 0 to `groups` - 1, of the samples from a first one on, `PIECE` of them.
        count: Samples.
        groups: How many keys there may be.

    Returns:
        Indexes of the samples by key, and where each key begins among them, with the end of the last.
    """
    starts = np.zeros(groups + 1, dtype=np.int64)
    for start in range(0, count, PIECE):
        starts[1:] += np.bincount(keys(start), minlength=groups)
    np.cumsum(starts, out=starts)
    order, following = np.empty(count, dtype=np.int32), starts[:-1].copy()
    for start in range(0, count, PIECE):
        piece = keys(start)
        rising = np.argsort(piece, kind="stable")
        ordered, many = piece[rising], np.bincount(piece, minlength=groups)
        # the place of each among those of its key in this piece
        rank = np.arange(len(piece)) - (np.cumsum(many) - many)[ordered]
        order[following[ordered] + rank] = start + rising
        following += many
    return order, starts
