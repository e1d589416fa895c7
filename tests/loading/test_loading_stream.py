"""The stream: the right pixels, each sample once, whatever the batch size and the order of asking."""

import pickle
import threading

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agri_assets.errors import SplitError, TrainingError
from agri_assets.loading.ahead import ReadAhead, read_ahead
from agri_assets.loading.augment import Augmentation, choose_orientations, orient
from agri_assets.loading.samples import load_samples
from agri_assets.loading.stream import TileStream

TURNED = Augmentation(orientations=True)


def test_samples_are_those_of_the_split(split_world, train):
    frame = pd.read_parquet(split_world.paths.assignments)
    wanted = frame[frame["split"] == "train"]
    assert set(zip(train.tile_id, train.date, strict=True)) == set(zip(wanted["tile_id"], wanted["date"], strict=True))
    assert train.label.sum() == (wanted["label"] == 1).sum()
    half = train.take(train.label == 1)
    assert (half.label == 1).all()
    assert len(half) == (wanted["label"] == 1).sum()


def test_an_empty_role_is_refused(split_world, tmp_path):
    with pytest.raises(SplitError, match="key:made/splits"):
        load_samples(type(split_world.paths)(tmp_path, "made"), "train")


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_every_sample_once_with_its_own_pixels(data, split_world, train, expected):
    size = data.draw(st.integers(1, 150))
    wanted = np.sort(np.array(data.draw(st.lists(st.integers(0, len(train) - 1), min_size=1, unique=True))))
    stream = TileStream(
        train.take(wanted),
        split_world.cubes,
        batch_size=size,
        seed=data.draw(st.integers(0, 3)),
        shuffle=data.draw(st.booleans()),
        shuffle_shards=data.draw(st.integers(1, 9)),
        epoch=data.draw(st.integers(0, 3)),
    )
    batches = list(stream)
    assert len(batches) == len(stream)
    assert all(len(batch.index) == size for batch in batches[:-1])
    index = np.concatenate([batch.index for batch in batches])
    assert np.array_equal(np.sort(index), np.arange(len(wanted)))
    for batch in batches:
        assert batch.pixels.dtype == np.uint16
        assert batch.pixels.flags.c_contiguous
        assert np.array_equal(batch.pixels, expected[wanted[batch.index]])
        assert np.array_equal(batch.label, train.label[wanted[batch.index]])


def test_any_batch_can_be_asked_for(split_world, train):
    stream = TileStream(train, split_world.cubes, 64, shuffle=True, augmentation=TURNED)
    whole = list(stream)
    for number in (7, 3, 0, len(whole) - 1, 3):
        again = stream.read(0, number)
        assert all(np.array_equal(a, b) for a, b in zip(again, whole[number], strict=True))
    with pytest.raises(IndexError):
        stream.read(0, len(whole))


def test_orientations_are_those_chosen(split_world, train, expected):
    stream = TileStream(train, split_world.cubes, 64, seed=5, shuffle=True, augmentation=TURNED)
    batch = stream.read(2, 1)
    turns = choose_orientations(5, 2, batch.index)
    for place, (index, turn) in enumerate(zip(batch.index, turns, strict=True)):
        assert np.array_equal(batch.pixels[place], orient(expected[index], int(turn)))


def test_dropout_changes_the_samples_it_chooses_and_no_others(split_world, train, expected):
    drops = Augmentation(band_dropout=0.2, coarse_dropout=0.2, fill=(700, 800))
    stream = TileStream(train, split_world.cubes, 64, seed=5, shuffle=True, augmentation=drops)
    changed = []
    for batch in stream:
        for index, tile in zip(batch.index, batch.pixels, strict=True):
            lost = tile != expected[index]
            assert (tile[lost] == np.broadcast_to(np.array([[[700]], [[800]]]), tile.shape)[lost]).all()
            changed.append(lost.any())
    assert np.mean(changed) == pytest.approx(1 - 0.8**2, abs=0.05)


def test_dropout_without_a_fill_for_each_band_is_refused(split_world, train):
    with pytest.raises(TrainingError, match="1 fill values for 2 bands"):
        TileStream(train, split_world.cubes, 64, augmentation=Augmentation(coarse_dropout=0.1, fill=(700,)))


def test_each_shard_is_read_once_in_a_lane_and_then_forgotten(split_world, train, monkeypatch):
    from agri_assets.splits.shards import ShardReader

    read, plain = [], ShardReader.read

    def counted(self, shard):
        read.append((id(self), shard))
        return plain(self, shard)

    monkeypatch.setattr(ShardReader, "read", counted)
    stream = TileStream(train, split_world.cubes, 16, shuffle=True, shuffle_shards=2)
    lanes = stream.batches.lanes
    held = [len(set(map(id, stream._held.values()))) for number in range(len(stream)) if stream.read(0, number)]
    # a shard that lies across two lanes is read for each of them, unless both want it at once
    assert len(stream._numbers) == len(set(read)) <= len(read) < len(stream._numbers) + lanes
    # of each lane one in the window, one coming, one that the batch itself has just finished
    assert max(held) <= 3 * lanes


def test_an_epoch_begun_ahead_is_the_same_and_has_its_shards(split_world, train, monkeypatch):
    from agri_assets.splits.shards import ShardReader

    plain = TileStream(train, split_world.cubes, 16, shuffle=True).read(1, 2)
    stream = TileStream(train, split_world.cubes, 16, shuffle=True)
    stream.read(0, 3)
    stream.begin(1, 2)
    monkeypatch.setattr(ShardReader, "read", lambda *_: pytest.fail("read again"))
    assert all(np.array_equal(a, b) for a, b in zip(stream.read(1, 2), plain, strict=True))


def test_a_stream_travels_without_its_stores(split_world, train):
    stream = TileStream(train, split_world.cubes, 64, shuffle=True)
    first = stream.read(0, 0)
    copy = pickle.loads(pickle.dumps(stream))
    assert not copy._held
    assert np.array_equal(copy.read(0, 0).pixels, first.pixels)


def test_errors_come_out_of_the_thread(split_world, train, tmp_path):
    stream = TileStream(train, split_world.cubes, 64)
    stream.cubes = dict.fromkeys(split_world.cubes, tmp_path / "absent.zarr")
    with pytest.raises(Exception, match=r"absent\.zarr"):
        next(iter(stream))


def test_reading_ahead_is_bounded_and_ends():
    made, gate = [], threading.Event()

    def make(number):
        made.append(number)
        gate.wait(5)
        return number

    ahead = ReadAhead(make, total=100, depth=3)
    gate.set()
    assert [ahead.get(number) for number in range(5)] == list(range(5))
    assert ahead.get(50) == 50
    ahead.close()
    assert max(number for number in made if number < 50) <= 8


def test_items_are_taken_ahead_in_order_and_no_further_than_wanted():
    taken = []
    items = read_ahead((taken.append(number) or number for number in range(100)), depth=3)
    assert [next(items) for _ in range(10)] == list(range(10))
    items.close()
    assert 10 <= len(taken) <= 13
    assert list(read_ahead(iter(range(7)), depth=3)) == list(range(7))


def test_an_error_comes_where_the_item_would_have():
    def items():
        yield from range(3)
        raise OSError("gone")

    ahead = read_ahead(items())
    assert [next(ahead) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="gone"):
        next(ahead)
