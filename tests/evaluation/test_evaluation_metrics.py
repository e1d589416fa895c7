"""Metrics agree with scikit-learn, with their own definition under weights, and are None where they are undefined."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from agri_assets.errors import EvaluationError
from agri_assets.evaluation.metrics import METRICS, Ranking, choose_threshold, score

probabilities = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
samples = st.lists(st.tuples(st.integers(0, 1), probabilities), min_size=2, max_size=60)


def arrays(pairs):
    label, probability = zip(*pairs, strict=True)
    return np.array(label), np.array(probability, dtype=np.float64)


@given(samples, st.floats(0.01, 1))
def test_figures_are_scikit_learns(pairs, threshold):
    label, probability = arrays(pairs)
    found, called = score(label, probability, threshold), probability >= threshold
    assert found.accuracy == pytest.approx(reference.accuracy_score(label, called))
    assert found.brier == pytest.approx(reference.brier_score_loss(label, probability, pos_label=1))
    tn, fp, fn, tp = reference.confusion_matrix(label, called, labels=[0, 1]).ravel()
    assert found.confusion == ((tn, fp), (fn, tp))
    assert found.positives == label.sum()
    if called.any():
        assert found.precision == pytest.approx(reference.precision_score(label, called))
    if label.any():
        assert found.recall == pytest.approx(reference.recall_score(label, called))
        assert found.f1 == pytest.approx(reference.f1_score(label, called))
        assert found.pr_auc == pytest.approx(reference.average_precision_score(label, probability))
    if 0 < label.sum() < len(label):
        assert found.balanced_accuracy == pytest.approx(reference.balanced_accuracy_score(label, called))
        assert found.roc_auc == pytest.approx(reference.roc_auc_score(label, probability))


@given(samples, st.lists(st.integers(0, 3), min_size=60, max_size=60))
def test_weights_count_like_repeated_samples(pairs, counts):
    label, probability = arrays(pairs)
    repeats = np.array(counts[: len(label)])
    if not repeats.any():
        repeats[0] = 1
    weighted = Ranking.of(label, probability, 0.5).score(repeats[None].astype(float))
    plain = score(label.repeat(repeats), probability.repeat(repeats), 0.5)
    for name in METRICS:
        expected = getattr(plain, name)
        assert weighted[name][0] == pytest.approx(np.nan if expected is None else expected, nan_ok=True)


def test_calibration_error_of_a_worked_example():
    label = np.array([0, 1, 1, 1])
    probability = np.array([0.1, 0.12, 0.9, 0.96])
    # bins of 1/15: 0.1 and 0.12 share bin 1 (mean 0.11, half positive); 0.9 is in bin 13 and 0.96 in bin 14
    expected = (2 * abs(0.11 - 0.5) + abs(0.9 - 1) + abs(0.96 - 1)) / 4
    assert score(label, probability, 0.5).ece == pytest.approx(expected)


def test_figures_of_one_class_are_none():
    found = score(np.zeros(5, int), np.linspace(0, 0.4, 5), 0.5)
    assert (found.roc_auc, found.pr_auc, found.recall, found.precision) == (None, None, None, None)
    assert found.accuracy == 1


@given(samples, st.sampled_from(["f1", "youden", "recall"]))
@settings(max_examples=200)
def test_no_threshold_is_better_than_the_chosen(pairs, rule):
    label, probability = arrays(pairs)
    if not 0 < label.sum() < len(label):
        return

    def quality(threshold):
        called = probability >= threshold
        if rule == "f1":
            return reference.f1_score(label, called, zero_division=0)
        if rule == "recall":
            return label[called].mean() if called[label == 1].mean() >= 0.999 else -1
        return called[label == 1].mean() - called[label == 0].mean()

    best = max(quality(value) for value in np.unique(probability))
    assert quality(choose_threshold(label, probability, rule)) == pytest.approx(best)


def test_threshold_lies_midway_between_separated_classes():
    assert choose_threshold(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.6, 0.9]), "f1") == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("label", "probability", "message"),
    [([], [], "no samples"), ([0, 2], [0.1, 0.2], "labels must be 0 or 1"), ([0, 1], [0.1, np.nan], "probability")],
)
def test_bad_input_is_refused(label, probability, message):
    with pytest.raises(EvaluationError, match=message):
        score(np.array(label, dtype=int), np.array(probability, dtype=float), 0.5)


def test_a_threshold_needs_both_classes():
    with pytest.raises(EvaluationError, match="both classes"):
        choose_threshold(np.ones(3, int), np.array([0.1, 0.2, 0.3]), "f1")
