"""The ring: no batch is overwritten while anything looks at it, and its memory is used again afterwards."""

import gc
import pickle

import numpy as np
import pytest

from agri_assets.loading.ring import Filled, Ring
from agri_assets.loading.stream import Batch, TileStream
from agri_assets.loading.torch_data import make_loader

SHAPE = (3, 2, 4, 4)


def batch(value: int, pixels: np.ndarray) -> Batch:
    pixels[...] = value
    return Batch(pixels, np.full(3, 1.0, np.float32), np.arange(3))


@pytest.fixture
def ring():
    return Ring(2, 2, 3 * 2 * 4 * 4 * 2)


def sent(ring, worker: int, value: int):
    """A batch as it arrives after a worker has filled a free slot."""
    slot = pickle.loads(pickle.dumps(ring)).free(worker)
    return pickle.loads(pickle.dumps(Filled(ring, slot, batch(value, ring.pixels(slot, SHAPE)))))


def test_a_slot_is_free_again_when_its_batch_is_forgotten(ring):
    first, second = sent(ring, 1, 7), sent(ring, 1, 8)
    assert (first.pixels == 7).all()
    assert (second.pixels == 8).all()
    assert ring.free(1) is None
    assert ring.free(0) is not None
    place = first.pixels.data_ptr()
    del first
    third = sent(ring, 1, 9)
    assert third.pixels.data_ptr() == place
    assert (second.pixels == 8).all()
    assert third.index.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "view",
    [
        lambda pixels: pixels[1],
        lambda pixels: pixels.numpy(),
        lambda pixels: pixels.numpy()[1:, 0][::2],
        lambda pixels: pixels.view(-1)[5:].numpy(),
        lambda pixels: iter(pixels),
        lambda pixels: memoryview(pixels.numpy()),
    ],
)
def test_any_view_keeps_the_batch(ring, view):
    arrived = sent(ring, 0, 7)
    kept = view(arrived.pixels)
    del arrived
    gc.collect()
    assert ring.used.sum() == 1
    del kept
    gc.collect()
    assert ring.used.sum() == 0


def test_batches_that_are_kept_stay_as_they_were(split_world, train, monkeypatch):
    monkeypatch.setattr("agri_assets.loading.torch_data.AHEAD", 32)
    few = train.take(np.arange(0, len(train), 2))
    stream = TileStream(few, split_world.cubes, 16, shuffle=True)
    loader = make_loader(few, split_world.cubes, 16, shuffle=True, workers=2)
    # more than there are slots, so that some travel otherwise
    assert len(loader) > len(loader.dataset._ring.used)
    kept = list(loader)
    assert loader.dataset._ring.used.all()
    assert all(np.array_equal(got.pixels, wanted.pixels) for got, wanted in zip(kept, stream, strict=True))
    del kept
    # an epoch that is left, and one that follows, with one batch at a time in use
    loader.dataset.set_epoch(1)
    next(iter(loader))
    stream.epoch = 1
    arrived = [np.array_equal(got.pixels, wanted.pixels) for got, wanted in zip(loader, stream, strict=True)]
    assert len(arrived) == len(stream)
    assert all(arrived)
    gc.collect()
    assert not loader.dataset._ring.used.any()
