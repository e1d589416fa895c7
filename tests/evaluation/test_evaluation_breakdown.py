"""Figures by class, without a class, and the order of mistakes."""

import numpy as np

from agri_assets.evaluation.breakdown import by_class, by_group, clear_groups, without_class, worst_mistakes
from agri_assets.evaluation.intervals import assess

NAMES = np.array(["Forest"] * 4 + ["AnnualCrop"] * 3 + ["Pasture"] * 2 + [None], dtype=object)
LABEL = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 0])
PROBABILITY = np.array([0.1, 0.2, 0.9, 0.3, 0.8, 0.7, 0.95, 0.2, 0.6, 0.1])


def test_by_class_counts_what_is_called():
    found = by_class(LABEL, PROBABILITY, NAMES, 0.5)
    assert list(found) == ["Forest", "AnnualCrop", "Pasture"]
    assert (found["Forest"].called, found["Forest"].accuracy, found["Forest"].positives) == (0.25, 0.75, 0)
    assert (found["Pasture"].called, found["Pasture"].accuracy, found["Pasture"].n) == (0.5, 0.5, 2)


def test_only_agricultural_classes_are_left_out():
    cell = np.arange(len(LABEL)).astype(str).astype(object)
    found = without_class(LABEL, PROBABILITY, cell, NAMES, 0.5)
    assert list(found) == ["AnnualCrop", "Pasture"]
    assert found["Pasture"].n == 8
    assert found["Pasture"].recall == 1
    rest = NAMES != "Pasture"
    assert found["Pasture"] == assess(LABEL[rest], PROBABILITY[rest], cell[rest], 0.5)
    low, high = found["Pasture"].ci95["accuracy"]
    assert low < found["Pasture"].accuracy == 7 / 8 < high


def test_leaving_out_the_only_agricultural_class_leaves_nothing_to_score():
    names = np.array(["Cropland" if label else "Trees" for label in LABEL], dtype=object)
    assert without_class(LABEL, PROBABILITY, names, names, 0.5) == {}


def test_the_surest_mistakes_come_first():
    assert worst_mistakes(LABEL, PROBABILITY, 0.5, 12).tolist() == [2, 7]
    assert worst_mistakes(LABEL, PROBABILITY, 0.5, 1).tolist() == [2]
    # at a high threshold, a field given 0.2 is as surely missed as is possible for a probability of 0.2
    assert worst_mistakes(LABEL, PROBABILITY, 0.92, 1).tolist() == [7]


def test_shares_of_clear_ground_come_in_order():
    found = by_group(LABEL, PROBABILITY, clear_groups(np.linspace(0.1, 1.0, 10)), 0.5)
    assert list(found) == ["0% to 50%", "50% to 80%", "80% to 95%", "100%"]


def test_groups_come_in_order_and_only_where_there_are_several():
    months = np.array(["2023-08"] * 6 + ["2023-05"] * 4, dtype=object)
    found = by_group(LABEL, PROBABILITY, months, 0.5)
    assert list(found) == ["2023-05", "2023-08"]
    assert (found["2023-08"].n, found["2023-05"].n) == (6, 4)
    assert by_group(LABEL, PROBABILITY, np.array(["2023-08"] * 10, dtype=object), 0.5) == {}


def test_clear_fractions_fall_into_groups():
    clear = np.array([1.0, 0.97, 0.95, 0.6, 0.2, np.nan])
    assert clear_groups(clear).tolist() == ["100%", "95% to 100%", "95% to 100%", "50% to 80%", "0% to 50%", None]
