"""Paired tests tell models apart where there is a difference, and not where there is none."""

import numpy as np
import pytest

from agri_assets.evaluation import intervals
from agri_assets.evaluation.metrics import score
from agri_assets.evaluation.paired import difference_interval, mcnemar


def made(n=1500, cells=60, seed=0):
    """Labels, and three models that mostly err alike: the second more often, the third as often as the first."""
    rng = np.random.default_rng(seed)
    cell = np.repeat(np.arange(cells), n // cells)
    label = rng.integers(0, 2, n)
    common = 1.2 * label + rng.normal(0, 0.5, cells)[cell] + rng.normal(0, 0.6, n)
    first, third = (common + rng.normal(0, 0.2, n) for _ in range(2))
    second = common + rng.normal(0, 0.9, n)
    names = cell.astype(str).astype(object)
    return label, *(1 / (1 + np.exp(-(values - 0.6))) for values in (first, second, third)), names


def test_mcnemar_of_a_worked_example():
    right = np.array([True] * 40 + [False] * 10)
    other = np.array([True] * 30 + [False] * 10 + [True] * 2 + [False] * 8)
    # two-sided exact binomial: 2 * P(X <= 2 of 12) = 2 * (1 + 12 + 66) / 4096
    assert mcnemar(right, other) == (10, 2, pytest.approx(2 * 79 / 4096))
    assert mcnemar(right, right) == (0, 0, 1.0)


def test_an_interval_holds_the_difference_and_leaves_out_zero_where_there_is_one():
    label, first, second, third, cell = made()
    low, high = difference_interval(label, (first, second), (0.5, 0.5), cell, "roc_auc", 300)
    difference = score(label, first, 0.5).roc_auc - score(label, second, 0.5).roc_auc
    assert 0 < low < difference < high
    low, high = difference_interval(label, (first, third), (0.5, 0.5), cell, "roc_auc", 300)
    assert low < 0 < high


def test_pairing_narrows_the_interval():
    label, first, _, third, cell = made()
    low, high = difference_interval(label, (first, third), (0.5, 0.5), cell, "roc_auc", 300)
    shuffled = np.random.default_rng(1).permutation(60)
    order = (shuffled[:, None] * 25 + np.arange(25)).ravel()
    # a model with the same errors elsewhere
    apart = np.where(label == label[order], third[order], 1 - third[order])
    wide = difference_interval(label, (first, apart), (0.5, 0.5), cell, "roc_auc", 300)
    assert high - low < 0.7 * (wide[1] - wide[0])


def test_blocks_do_not_matter_and_one_class_has_no_interval(monkeypatch):
    label, first, second, _, cell = made(300, 30)
    whole = difference_interval(label, (first, second), (0.5, 0.5), cell, "f1", 50)
    monkeypatch.setattr(intervals, "_BLOCK", 300 * 7)
    assert difference_interval(label, (first, second), (0.5, 0.5), cell, "f1", 50) == whole
    assert difference_interval(np.zeros(300, int), (first, second), (0.5, 0.5), cell, "roc_auc", 50) is None
