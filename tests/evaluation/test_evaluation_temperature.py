"""Temperature scaling finds what was planted, and leaves alone what it cannot mend."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agri_assets.evaluation.metrics import score
from agri_assets.evaluation.temperature import choose_temperature, logits, scaled


def made(n, sharpness, seed=0):
    """Labels drawn from honest probabilities, and what a model says that is too sure by `sharpness`."""
    rng = np.random.default_rng(seed)
    honest = rng.beta(1.5, 1.5, n)
    cell = (np.arange(n) // 10).astype(str).astype(object)
    return (rng.random(n) < honest).astype(int), scaled(honest, 1 / sharpness), cell


@pytest.mark.parametrize("sharpness", [0.5, 2.0, 4.0])
def test_a_planted_temperature_is_found_and_mends_calibration(sharpness):
    label, probability, cell = made(6000, sharpness)
    temperature = choose_temperature(label, probability, cell)
    assert temperature == pytest.approx(sharpness, rel=0.1)
    before, after = (score(label, values, 0.5) for values in (probability, scaled(probability, temperature)))
    assert after.ece < 0.5 * before.ece
    assert after.roc_auc == pytest.approx(before.roc_auc)


def test_honest_probabilities_of_few_samples_stay():
    kept = [choose_temperature(*made(60, 1.0, seed)) for seed in range(20)]
    # what looks better on the samples it was found on is mostly no better on others
    assert np.mean(np.array(kept) == 1.0) > 0.5


def test_one_class_says_nothing_of_temperature():
    cell = np.array(list("abcdefghij"), dtype=object)
    assert choose_temperature(np.zeros(10, int), np.linspace(0.1, 0.9, 10), cell) == 1.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(0.2, 5))
def test_scaling_keeps_order_and_range(values, temperature):
    probability = np.sort(np.array(values))
    found = scaled(probability, temperature)
    assert ((found >= 0) & (found <= 1)).all()
    assert (np.diff(found) >= 0).all()
    assert np.isfinite(logits(probability)).all()
    assert scaled(probability, 1.0) is probability
