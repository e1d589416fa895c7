"""Orientations: all eight, by (seed, epoch, sample) alone."""

import numpy as np
import pytest

from agri_assets.loading.augment import ORIENTATIONS, choose_orientations, orient


def test_the_eight_are_the_symmetries_of_a_square():
    tile = np.arange(2 * 5 * 5, dtype=np.uint16).reshape(2, 5, 5)
    ours = {orient(tile, k).tobytes() for k in range(ORIENTATIONS)}
    turns = [np.rot90(tile, k, (1, 2)) for k in range(4)]
    assert ours == {np.ascontiguousarray(view).tobytes() for turn in turns for view in (turn, turn[:, :, ::-1])}
    assert np.array_equal(orient(tile, 0), tile)


def test_each_is_as_likely():
    counts = np.bincount(choose_orientations(0, 0, np.arange(80_000)), minlength=ORIENTATIONS)
    assert counts.tolist() == pytest.approx([10_000] * 8, rel=0.05)


def test_epochs_seeds_and_samples_differ():
    index = np.arange(1000)
    first = choose_orientations(0, 0, index)
    for seed, epoch in ((0, 1), (1, 0), (1, 1)):
        assert (choose_orientations(seed, epoch, index) != first).mean() == pytest.approx(7 / 8, abs=0.05)
    assert np.array_equal(choose_orientations(0, 0, index[::-1]), first[::-1])
