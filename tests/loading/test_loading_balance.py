"""Sampling: both labels alike often, by (seed, epoch) alone, in the same lanes and windows as any epoch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agri_assets.errors import TrainingError
from agri_assets.loading import balance
from agri_assets.loading.augment import Augmentation, orient
from agri_assets.loading.balance import balanced_draw
from agri_assets.loading.stream import TileStream
from agri_assets.loading.torch_data import make_loader

LABELS = st.lists(st.integers(0, 1), min_size=2, max_size=300).filter(lambda found: 0 < sum(found) < len(found))


@settings(deadline=None)
@given(LABELS, st.integers(0, 9), st.integers(0, 9), st.sampled_from([1, 7, 2**16]))
def test_half_of_each_label_and_each_sample_as_often_as_the_next(labels, seed, epoch, piece):
    label, plain = np.array(labels, np.uint8), balance.PIECE
    balance.PIECE = piece
    try:
        drawn = balanced_draw(label, seed, epoch)
    finally:
        balance.PIECE = plain
    assert len(drawn) == len(label)
    assert (np.diff(drawn) >= 0).all()
    times = np.bincount(drawn, minlength=len(label))
    for value, half in ((0, len(label) - len(label) // 2), (1, len(label) // 2)):
        mine = times[label == value]
        assert mine.sum() == half
        assert mine.max() - mine.min() <= 1


def test_every_sample_of_a_label_is_as_likely():
    label = np.array([0] * 30 + [1] * 10, np.uint8)
    times = sum(np.bincount(balanced_draw(label, 0, epoch), minlength=40) for epoch in range(3000)) / 3000
    assert times == pytest.approx([20 / 30] * 30 + [2] * 10, abs=0.04)


@pytest.fixture(scope="module")
def uneven(train):
    """Samples of which a tenth has label 1."""
    ones, zeros = np.flatnonzero(train.label == 1), np.flatnonzero(train.label == 0)
    return train.take(np.sort(np.concatenate([zeros[:450], ones[:50]])))


def options(**more):
    return {"seed": 2, "shuffle": True, "shuffle_shards": 3, "sampled": True, **more}


def test_a_stream_gives_both_labels_alike_often(split_world, uneven):
    stream = TileStream(uneven, split_world.cubes, 32, **options())
    orders = []
    for stream.epoch in (0, 1):
        batches = list(stream)
        assert len(batches) == len(stream) == -(-500 // 32)
        orders.append(np.concatenate([batch.index for batch in batches]))
        assert np.concatenate([batch.label for batch in batches]).mean() == 0.5
        assert np.array_equal(np.sort(orders[-1]), balanced_draw(uneven.label, 2, stream.epoch))
    assert not np.array_equal(*orders)
    again = TileStream(uneven, split_world.cubes, 32, **options()).read(1, 3)
    assert np.array_equal(again.index, orders[1][96:128])


def test_each_drawing_of_a_sample_is_turned_in_its_own_way(split_world, uneven):
    plain = TileStream(uneven, split_world.cubes, 500, seed=2)
    tiles = np.empty((500, *plain.read(0, 0).pixels.shape[1:]), np.uint16)
    tiles[plain.read(0, 0).index] = plain.read(0, 0).pixels
    turned = TileStream(uneven, split_world.cubes, 500, **options(augmentation=Augmentation(orientations=True)))
    batch = turned.read(0, 0)
    for index in np.flatnonzero(uneven.label == 1)[:10]:
        seen = batch.pixels[batch.index == index]
        assert len(seen) == 5
        assert len({one.tobytes() for one in seen}) > 1
        ways = {orient(tiles[index], way).tobytes() for way in range(8)}
        assert all(one.tobytes() in ways for one in seen)


def test_workers_draw_the_same(split_world, uneven):
    stream = TileStream(uneven, split_world.cubes, 32, **options())
    loader = make_loader(uneven, split_world.cubes, 32, workers=2, **options())
    pairs = list(zip(stream, loader, strict=True))
    assert all(np.array_equal(one.index, other.index) for one, other in pairs)
    assert all(np.array_equal(one.pixels, other.pixels) for one, other in pairs)


def test_one_label_alone_is_refused(split_world, train):
    with pytest.raises(TrainingError, match=r"all samples have label \[1\]"):
        TileStream(train.take(train.label == 1), split_world.cubes, 32, sampled=True)
