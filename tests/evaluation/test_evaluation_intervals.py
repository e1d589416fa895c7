"""Intervals resample cells, not samples, and are fast."""

import numpy as np
import pytest

from agri_assets.evaluation.intervals import intervals
from agri_assets.evaluation.metrics import METRICS, score


def made(n, seed=0):
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < 0.2).astype(int)
    return label, np.clip(rng.normal(0.35 + 0.3 * label, 0.15), 0, 1)


def test_intervals_hold_the_figures_and_repeat():
    label, probability = made(800)
    cell = (np.arange(800) // 10).astype(str).astype(object)
    found = intervals(label, probability, cell, 0.5, 300)
    figures = score(label, probability, 0.5)
    for name in METRICS:
        low, high = found[name]
        assert low < high
        if name != "ece":  # biased upwards by resampling: noise always adds to it
            assert low <= getattr(figures, name) <= high
    assert found == intervals(label, probability, cell, 0.5, 300)


def test_samples_of_one_cell_do_not_narrow_an_interval():
    label, probability = made(60)
    alone = intervals(label, probability, np.arange(60).astype(str).astype(object), 0.5, 500)
    tenfold = [np.tile(values, 10) for values in (label, probability, np.arange(60).astype(str).astype(object))]
    together = intervals(*tenfold, 0.5, 500)
    apart = intervals(*tenfold[:2], np.arange(600).astype(str).astype(object), 0.5, 500)

    def width(found):
        return found["accuracy"][1] - found["accuracy"][0]

    assert width(together) == pytest.approx(width(alone))
    assert width(apart) < 0.5 * width(alone)


def test_an_undefined_metric_has_no_interval():
    found = intervals(np.zeros(20, int), np.linspace(0, 0.4, 20), np.arange(20).astype(object), 0.5, 100)
    assert found["roc_auc"] is None
    assert found["accuracy"] == (1, 1)


def test_blocks_of_draws_do_not_change_what_is_found(monkeypatch):
    label, probability = made(200)
    cell = (np.arange(200) // 5).astype(object)
    whole = intervals(label, probability, cell, 0.5, 100)
    monkeypatch.setattr("agri_assets.evaluation.intervals._BLOCK", 200 * 7)
    blocked = intervals(label, probability, cell, 0.5, 100)
    assert blocked == whole
