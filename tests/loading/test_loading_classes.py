"""Fine classes: which there are, which number each sample has, and what they sum to."""

import numpy as np
import pytest

from agri_assets.loading.classes import TargetClass, agricultural_logit, target_classes, targets
from agri_assets.loading.samples import SampleTable, position_samples
from agri_assets.splits.chosen import NAMELESS, Kind

KINDS = (*NAMELESS, Kind("Forest", False), Kind("AnnualCrop", True), Kind("Pasture", True), Kind("Sea", False))


def table(*kinds: int) -> SampleTable:
    count = len(kinds)
    zero = np.zeros(count, dtype=np.int64)
    plain = position_samples("t", zero, np.arange(count), zero, [None] * count, ["c"] * count)
    kind = np.array(kinds, dtype=np.uint8)
    label = np.array([KINDS[code].agricultural for code in kinds], dtype=np.uint8)
    return SampleTable(plain.places, plain.tile, plain.slot, plain.row, plain.col, label, kind, KINDS)


def names(classes) -> list[tuple[str, bool]]:
    return [(target.name, target.agricultural) for target in classes]


def test_every_class_is_an_output():
    train = table(2, 3, 4, 2, 5)
    classes = target_classes(train, fewest=1)
    assert names(classes) == [("Forest", False), ("Sea", False), ("AnnualCrop", True), ("Pasture", True)]
    assert targets(train, classes).tolist() == [0, 2, 3, 0, 1]


def test_rare_and_nameless_classes_share_one():
    train = table(2, 2, 5, 0, 3, 3, 4, 1)
    classes = target_classes(train, fewest=2)
    assert names(classes) == [("Forest", False), ("other", False), ("AnnualCrop", True), ("other agricultural", True)]
    assert targets(train, classes).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_two_classes_are_learnt_as_one_logit():
    train = table(2, 3, 3)
    assert target_classes(train, fewest=1) == ()
    assert targets(train, ()).tolist() == [0, 1, 1]


def test_classes_unknown_to_training_count_as_their_label():
    classes = target_classes(table(2, 3, 4), fewest=1)
    found = targets(table(5, 1, 4), classes)
    assert [classes[number].agricultural for number in found] == [False, True, True]


def test_the_logit_is_that_of_the_summed_probabilities():
    outputs = np.random.default_rng(0).normal(0, 3, (20, 4))
    classes = tuple(TargetClass(name=str(number), agricultural=number in (1, 3)) for number in range(4))
    softmax = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    wanted = softmax[:, [1, 3]].sum(axis=1)
    assert 1 / (1 + np.exp(-agricultural_logit(outputs, classes))) == pytest.approx(wanted)
    assert agricultural_logit(outputs[:, :1], ()) == pytest.approx(outputs[:, 0])
    # far out neither overflows
    assert np.isfinite(agricultural_logit(np.array([[800.0, -800, 0, -900]]), classes)).all()
