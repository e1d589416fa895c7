"""The adapters: torch and Keras see the same samples in the same order, for any number of workers."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
import pytest
import torch

from agri_assets.loading.augment import Augmentation
from agri_assets.loading.keras_data import EpochOrder, TileSequence
from agri_assets.loading.stream import TileStream
from agri_assets.loading.torch_data import make_loader

AUGMENTATION = Augmentation(orientations=True, band_dropout=0.3, coarse_dropout=0.3, fill=(700, 800))
OPTIONS = {"seed": 3, "shuffle": True, "shuffle_shards": 3, "augmentation": AUGMENTATION}


@pytest.fixture(scope="module")
def few(train):
    return train.take(np.arange(0, len(train), 4))


def test_loader_gives_tensors_in_the_streams_order(split_world, few):
    loader = make_loader(few, split_world.cubes, 50, **OPTIONS)
    stream = TileStream(few, split_world.cubes, 50, **OPTIONS)
    for epoch in (0, 1):
        loader.dataset.set_epoch(epoch)
        stream.epoch = epoch
        batches = list(loader)
        assert len(batches) == len(loader) == len(stream)
        for got, wanted in zip(batches, stream, strict=True):
            assert got.pixels.dtype == torch.uint16
            assert np.array_equal(got.pixels.numpy(), wanted.pixels)
            assert np.array_equal(got.label.numpy(), wanted.label)
            assert np.array_equal(got.index.numpy(), wanted.index)


def test_workers_change_nothing(split_world, few):
    plain = make_loader(few, split_world.cubes, 50, **OPTIONS)
    shared = make_loader(few, split_world.cubes, 50, workers=2, **OPTIONS)
    for epoch in (0, 1):
        for loader in (plain, shared):
            loader.dataset.set_epoch(epoch)
        pairs = list(zip(plain, shared, strict=True))
        assert len(pairs) == len(plain)
        assert all(torch.equal(a, b) for one, other in pairs for a, b in zip(one, other, strict=True))


def test_a_loader_continues_within_an_epoch(split_world, few):
    whole = [batch.index for batch in make_loader(few, split_world.cubes, 50, **OPTIONS, epoch=2)]
    rest = make_loader(few, split_world.cubes, 50, **OPTIONS, epoch=2, first_batch=3)
    # Lightning sets the epoch it is in once more before it iterates
    rest.dataset.set_epoch(2)
    assert len(rest) == len(whole) - 3
    assert all(torch.equal(a, batch.index) for a, batch in zip(whole[3:], rest, strict=True))
    rest.dataset.set_epoch(3)
    assert len(rest) == len(whole)


@pytest.mark.parametrize("dtype", ["float32", "uint16"])
def test_keras_sees_the_same(split_world, few, dtype):
    sequence = TileSequence(few, split_world.cubes, 50, **OPTIONS, dtype=dtype)
    stream = TileStream(few, split_world.cubes, 50, **OPTIONS)
    for epoch in (0, 1):
        stream.epoch = epoch
        assert len(sequence) == len(stream)
        for number, wanted in enumerate(stream):
            pixels, label = sequence[number]
            assert pixels.dtype == dtype
            assert np.array_equal(pixels, wanted.pixels.transpose(0, 2, 3, 1))
            assert np.array_equal(label, wanted.label)
        sequence.set_epoch(epoch + 1)


def test_keras_fits_from_it_in_order(split_world, few):
    import keras

    seen = []

    class Spy(TileSequence):
        def __getitem__(self, number):
            seen.append((self.epoch, number))
            return super().__getitem__(number)

    sequence = Spy(few, split_world.cubes, 100, **OPTIONS)
    model = keras.Sequential([keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(optimizer="sgd", loss="binary_crossentropy")
    model.fit(sequence, initial_epoch=4, epochs=6, shuffle=False, verbose=0, callbacks=[EpochOrder(sequence)])
    # before the first epoch Keras looks at one batch to build the model
    assert seen[0] == (0, 0)
    assert seen[1:] == [(epoch, number) for epoch in (4, 5) for number in range(len(sequence))]
