"""Adjusted areas are those of the paper, and hold the truth where a map is wrong in a known way."""

import numpy as np
import pytest

from agri_assets.maps.area import adjusted_areas


def test_the_papers_example():
    # Olofsson et al. (2014), tables 8 and 9: deforestation, forest gain, stable forest, stable non-forest; 30 m pixels
    by_map = [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]]
    hectares = np.array([200_000, 150_000, 3_200_000, 6_450_000]) * 0.09
    first = adjusted_areas(np.transpose(by_map), hectares)[0]
    assert first.value == pytest.approx(21_158, abs=1)
    assert (first.high - first.low) / 2 == pytest.approx(6_158, rel=0.01)


def test_a_biased_map_is_put_right():
    random, held = np.random.default_rng(0), 0
    for _ in range(200):
        truth = random.random(20_000) < 0.3
        called = np.where(truth, random.random(20_000) < 0.7, random.random(20_000) < 0.05)
        sample = random.choice(20_000, 400, replace=False)
        confusion = np.zeros((2, 2))
        np.add.at(confusion, (truth[sample].astype(int), called[sample].astype(int)), 1)
        area = adjusted_areas(confusion, [np.sum(~called), np.sum(called)])[1]
        held += area.low <= truth.sum() <= area.high
    assert held >= 180


def test_nothing_is_said_without_samples_of_a_mapped_class():
    assert adjusted_areas([[10, 0], [3, 0]], [80.0, 20.0]) is None
    assert adjusted_areas([[10, 1], [3, 0]], [80.0, 20.0]) is None
    assert adjusted_areas([[10, 0], [3, 0]], [0.0, 0.0]) is None
    only = adjusted_areas([[10, 0], [3, 0]], [100.0, 0.0])
    assert only[1].value == pytest.approx(100 * 3 / 13)
