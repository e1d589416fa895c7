"""The reader as `tf.data` and from the middle of an epoch: always the stream's batches in the stream's order."""

import keras
import numpy as np
import pytest

from agri_assets.loading.augment import Augmentation
from agri_assets.loading.keras_data import TileSequence
from agri_assets.loading.stream import TileStream

OPTIONS = {"seed": 3, "shuffle": True, "shuffle_shards": 3, "augmentation": Augmentation(orientations=True)}

tensorflow_only = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of the tensorflow backend")


@pytest.fixture(scope="module")
def few(train):
    return train.take(np.arange(0, len(train), 4))


@pytest.fixture
def sequence(split_world, few):
    return TileSequence(few, split_world.cubes, 50, **OPTIONS, dtype="uint16", targets=np.arange(len(few)))


@pytest.fixture
def wanted(split_world, few):
    """(pixels, index) of the third epoch."""
    stream = TileStream(few, split_world.cubes, 50, **OPTIONS, epoch=2)
    return [(batch.pixels.transpose(0, 2, 3, 1), batch.index) for batch in stream]


def require_same(found, wanted):
    for (pixels, targets), (tiles, index) in zip(found, wanted, strict=True):
        assert np.asarray(pixels).dtype == np.uint16
        assert np.array_equal(pixels, tiles)
        assert np.array_equal(targets, index)


@pytest.mark.parametrize("first", [0, 3])
def test_a_sequence_begins_anywhere_in_an_epoch(sequence, wanted, first):
    assert len(wanted) > 4
    require_same(sequence.batches(2, first), wanted[first:])


@tensorflow_only
@pytest.mark.parametrize("first", [0, 3])
def test_a_pipeline_begins_anywhere_in_an_epoch(sequence, wanted, first):
    from agri_assets.loading.tf_data import tile_dataset

    dataset = tile_dataset(sequence, 2, first)
    assert dataset.element_spec[0].shape.as_list() == [None, *wanted[0][0].shape[1:]]
    require_same(dataset.as_numpy_iterator(), wanted[first:])


def val(split_world, few, reads):
    """A sequence that counts what is read."""

    class Counting(TileSequence):
        def read(self, epoch, number):
            reads.append(number)
            return super().read(epoch, number)

    return Counting(few, split_world.cubes, 50, dtype="uint16")


@tensorflow_only
def test_a_cache_is_read_once_and_whole(split_world, few, tmp_path):
    from agri_assets.loading.tf_data import cached_dataset

    reads = []
    sequence, cache = val(split_world, few, reads), tmp_path / "new" / "val"
    passes = [[pixels for pixels, _ in cached_dataset(sequence, cache).as_numpy_iterator()] for _ in range(3)]
    assert reads == list(range(len(sequence)))
    plain = [sequence.read(0, number)[0] for number in range(len(sequence))]
    for found in passes:
        assert all(np.array_equal(one, other) for one, other in zip(found, plain, strict=True))


@tensorflow_only
@pytest.mark.parametrize("harm", ["broken off", "index cut", "index gone"])
def test_a_cache_that_is_not_whole_is_made_again(split_world, few, tmp_path, harm):
    from agri_assets.loading.tf_data import cached_dataset

    reads = []
    sequence, cache = val(split_world, few, reads), tmp_path / "val"
    assert len(list(cached_dataset(sequence, cache))) == len(sequence)
    index = tmp_path / "val.index"
    if harm == "index cut":
        index.write_bytes(index.read_bytes()[:20])
    else:
        index.unlink()
    if harm == "broken off":
        # what a killed process leaves
        (tmp_path / "val_0.lockfile").touch()
    assert len(list(cached_dataset(sequence, cache))) == len(sequence)
    assert len(reads) == 2 * len(sequence)


@tensorflow_only
def test_nothing_is_kept_where_there_is_no_room(split_world, few, tmp_path, monkeypatch):
    from agri_assets.loading import tf_data

    monkeypatch.setattr(tf_data, "FREE_SHARE", 0.0)
    reads = []
    sequence = val(split_world, few, reads)
    for _ in range(2):
        assert len(list(tf_data.cached_dataset(sequence, tmp_path / "val"))) == len(sequence)
    assert len(reads) == 2 * len(sequence)
    assert not list(tmp_path.iterdir())
