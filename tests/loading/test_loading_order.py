"""The order: each sample once, few shards at a time, a function of (seed, epoch), hardly a shard in two lanes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agri_assets.loading.order import GROUPS, PARTS, Batches, batches_of, epoch_order

SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=60)
SHARDS = SIZES.map(lambda sizes: np.repeat(np.arange(len(sizes)), sizes))


def in_lanes(order: np.ndarray, batches: Batches) -> list[np.ndarray]:
    """The samples of each lane, in the order in which it gives them."""
    lanes = [[] for _ in range(batches.lanes)]
    for number in range(len(batches)):
        cuts = batches.cuts(number)
        for part in range(batches.parts):
            lanes[number % batches.groups * batches.parts + part].append(order[cuts[part] : cuts[part + 1]])
    return [np.concatenate([np.zeros(0, dtype=int), *lane]) for lane in lanes]


@given(SHARDS, st.integers(0, 100), st.integers(0, 5), st.integers(1, 12), st.integers(1, 70))
def test_every_sample_once(shard, seed, epoch, window, size):
    batches = batches_of(len(shard), len(np.unique(shard)), size, window)
    order = epoch_order(shard, batches, (seed, epoch), window)
    assert np.array_equal(np.sort(order), np.arange(len(shard)))
    assert np.array_equal(order, epoch_order(shard, batches, (seed, epoch), window))


@given(st.integers(1, 5000), st.integers(1, 99), st.integers(1, 5), st.integers(1, 5))
def test_lanes_are_as_long_as_their_parts_of_the_batches(samples, size, groups, parts):
    batches = Batches(samples, size, groups, parts)
    lengths = [len(lane) for lane in in_lanes(np.arange(samples), batches)]
    assert lengths == batches.lane_sizes().tolist()
    assert sum(lengths) == samples


@given(SHARDS, st.integers(0, 100), st.integers(1, 12), st.integers(1, 70))
def test_few_shards_are_held_at_a_time(shard, seed, window, size):
    batches = batches_of(len(shard), len(np.unique(shard)), size, window)
    for lane in in_lanes(epoch_order(shard, batches, (seed, 0), window), batches):
        mine = shard[lane]
        first = {s: int(np.argmax(mine == s)) for s in np.unique(mine)}
        last = {s: len(mine) - 1 - int(np.argmax(mine[::-1] == s)) for s in first}
        held = [sum(first[s] <= place <= last[s] for s in first) for place in range(len(mine))]
        assert max(held, default=0) <= -(-window // batches.parts) + 1


@given(SHARDS, st.integers(0, 9), st.integers(1, 30))
def test_lanes_share_no_shard_but_at_their_ends(shard, seed, size):
    batches = Batches(len(shard), size)
    lanes = in_lanes(epoch_order(shard, batches, (seed, 0), 8), batches)
    readings = sum(len(np.unique(shard[lane])) for lane in lanes)
    assert readings <= len(np.unique(shard)) + batches.lanes - 1


@given(st.integers(1, 300), st.integers(1, 99), st.integers(1, 9))
def test_ranks_share_a_batch_without_overlap_or_loss(samples, size, ranks):
    batches = Batches(samples, size)
    for number in range(len(batches)):
        shares = [batches.share(number, (rank, ranks)) for rank in range(ranks)]
        whole = np.concatenate([np.arange(start, end) for start, end in shares])
        start = number * size
        assert np.array_equal(whole, np.arange(start, min(samples, start + size)))


def test_epochs_and_seeds_differ():
    shard = np.repeat(np.arange(20), 16)
    batches = batches_of(len(shard), 20, 8, 8)
    orders = {epoch_order(shard, batches, (seed, epoch), 8).tobytes() for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_first_middle_and_last_batches_mix_shards():
    shard = np.repeat(np.arange(80), 256)
    batches = batches_of(len(shard), 80, 64, 8)
    assert (batches.groups, batches.parts) == (GROUPS, PARTS)
    order = epoch_order(shard, batches, (0, 0), 8)
    for number in (0, 1, len(batches) // 2, len(batches) - 2, len(batches) - 1):
        batch = order[number * 64 : (number + 1) * 64]
        assert len(np.unique(shard[batch])) >= 7


def test_a_single_shard_is_shuffled_too():
    shard = np.zeros(100, dtype=int)
    order = epoch_order(shard, batches_of(100, 1, 10, 8), (0, 0), 8)
    assert not np.array_equal(order, np.arange(100))


def test_unshuffled_lanes_are_as_stored():
    assert epoch_order(np.array([1, 0, 1, 0]), Batches(4, 2, 1, 1)).tolist() == [1, 3, 0, 2]
    assert epoch_order(np.repeat(np.arange(4), 2), Batches(8, 2, 2, 1)).tolist() == [0, 1, 4, 5, 2, 3, 6, 7]
