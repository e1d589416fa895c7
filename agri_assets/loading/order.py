"""The order of samples: shards shuffled, then mixed in a window that moves over them; a function of (seed, epoch)."""

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]


def storage_order(shard: Index) -> Index:
    """Indexes of the samples by shard, as stored."""
    return np.argsort(shard, kind="stable")


def shuffled_order(shard: Index, seed: int, epoch: int, shuffle_shards: int) -> Index:
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
        return np.zeros(0, dtype=np.int64)
    random = np.random.default_rng([seed, epoch])
    count = int(shard.max()) + 1
    turn = random.permutation(count)[shard]
    begin = np.maximum(turn, min(shuffle_shards, count) - 1)
    end = np.minimum(turn + shuffle_shards, count)
    moment = begin + (end - begin) * random.random(len(shard))
    return np.argsort(moment, kind="stable")
