"""The order: each sample once, few shards at a time, a function of (seed, epoch) alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agri_assets.loading.order import shuffled_order, storage_order

SHARDS = st.lists(st.integers(1, 30), min_size=1, max_size=40).map(
    lambda sizes: np.repeat(np.arange(len(sizes)), sizes)
)


@given(SHARDS, st.integers(0, 100), st.integers(0, 5), st.integers(1, 12))
def test_every_sample_once(shard, seed, epoch, mixed):
    order = shuffled_order(shard, seed, epoch, mixed)
    assert np.array_equal(np.sort(order), np.arange(len(shard)))
    assert np.array_equal(order, shuffled_order(shard, seed, epoch, mixed))


@given(SHARDS, st.integers(0, 100), st.integers(1, 12))
def test_few_shards_are_held_at_a_time(shard, seed, mixed):
    in_order = shard[shuffled_order(shard, seed, 0, mixed)]
    first = {s: int(np.argmax(in_order == s)) for s in range(shard.max() + 1)}
    last = {s: len(in_order) - 1 - int(np.argmax(in_order[::-1] == s)) for s in first}
    held = [sum(first[s] <= place <= last[s] for s in first) for place in range(len(in_order))]
    assert max(held) <= mixed + 1


def test_epochs_and_seeds_differ():
    shard = np.repeat(np.arange(20), 16)
    orders = {shuffled_order(shard, seed, epoch, 8).tobytes() for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_first_middle_and_last_batches_mix_shards():
    shard = np.repeat(np.arange(40), 256)
    in_order = shard[shuffled_order(shard, 0, 0, 8)]
    for batch in (in_order[:64], in_order[5000:5064], in_order[-64:]):
        assert len(np.unique(batch)) >= 7


def test_storage_order_keeps_shards_together():
    assert storage_order(np.array([1, 0, 1, 0])).tolist() == [1, 3, 0, 2]
