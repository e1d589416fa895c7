"""Intervals leave out cells, not samples, and hold the truth as often as they say."""

import numpy as np
import pytest
from scipy.stats import norm

from agri_assets.evaluation import intervals as module
from agri_assets.evaluation.intervals import groups_of, intervals
from agri_assets.evaluation.metrics import METRICS, score


def made(n, seed=0):
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < 0.2).astype(int)
    return label, np.clip(rng.normal(0.35 + 0.3 * label, 0.15), 0, 1)


def names(values):
    return np.asarray(values).astype(str).astype(object)


def test_intervals_hold_the_figures_and_repeat():
    label, probability = made(800)
    cell = names(np.arange(800) // 10)
    found = intervals(label, probability, cell, 0.5)
    figures = score(label, probability, 0.5)
    for name in METRICS:
        low, high = found[name]
        assert low < getattr(figures, name) < high
    assert found == intervals(label, probability, cell, 0.5)


def test_samples_of_one_cell_do_not_narrow_an_interval():
    label, probability = made(60)
    alone = intervals(label, probability, names(np.arange(60)), 0.5)
    tenfold = [np.tile(values, 10) for values in (label, probability, names(np.arange(60)))]
    together = intervals(*tenfold, 0.5)
    apart = intervals(*tenfold[:2], names(np.arange(600)), 0.5)

    def width(found):
        return found["accuracy"][1] - found["accuracy"][0]

    assert width(together) == pytest.approx(width(alone), rel=0.05)
    assert width(apart) < 0.5 * width(alone)


def test_an_undefined_metric_has_no_interval_and_a_perfect_one_has_width():
    found = intervals(np.zeros(20, int), np.linspace(0, 0.4, 20), names(np.arange(20)), 0.5)
    assert found["roc_auc"] is None
    # of 20 independent cells, all right: 0.025 ** (1 / 20)
    assert found["accuracy"] == (pytest.approx(0.8316, abs=1e-4), 1)


def test_blocks_of_weights_do_not_change_what_is_found(monkeypatch):
    label, probability = made(200)
    cell = names(np.arange(200) // 5)
    whole = intervals(label, probability, cell, 0.5)
    monkeypatch.setattr(module, "_BLOCK", 200 * 7)
    for name, interval in intervals(label, probability, cell, 0.5).items():
        assert interval == pytest.approx(whole[name], rel=1e-12)


def test_many_cells_are_dealt_into_groups_of_like_size():
    cell = names(np.arange(5000) // 2)
    group = groups_of(cell)
    assert len(set(group)) == module.MOST_GROUPS
    assert (group[::2] == group[1::2]).all()
    sizes = np.bincount(group)
    assert sizes.max() - sizes.min() <= 2
    label, probability = made(5000)
    few, all_of_them = (intervals(label, probability, cell, 0.5)["roc_auc"] for _ in range(2))
    assert few == all_of_them


def simulated(auc, cells, per_cell, rng):
    """Samples of a classifier whose AUC over all cells is known, with intra-cell correlation 0.2 of its scores.

    Scores are normal with variance 1 in either class, apart by `sqrt(2) * probit(AUC)`.
    """
    cell = np.repeat(np.arange(cells), per_cell)
    label = (rng.random(len(cell)) < rng.beta(2, 2, cells)[cell]).astype(int)
    common, own = rng.normal(size=cells)[cell], rng.normal(size=len(cell))
    values = np.sqrt(2) * norm.ppf(auc) * label + np.sqrt(0.2) * common + np.sqrt(0.8) * own
    return label, norm.cdf(values, 0.5, 2), cell


@pytest.mark.parametrize("auc", [0.9, 0.98])
@pytest.mark.parametrize("per_cell", [10, pytest.param(25, marks=pytest.mark.soak)])
def test_intervals_hold_the_truth_as_often_as_they_say(auc, per_cell):
    rng, runs, held = np.random.default_rng(7), 1000, 0
    for _ in range(runs):
        label, probability, cell = simulated(auc, 50, per_cell, rng)
        low, high = intervals(label, probability, names(cell), 0.5)["roc_auc"]
        held += low <= auc <= high
    assert 0.93 <= held / runs <= 0.97
