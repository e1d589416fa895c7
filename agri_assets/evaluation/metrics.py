"""Metrics of a binary classifier, for one sample set or for many weightings of it at once.

Everything is a function of labels, probabilities and weights, so that one set of formulas gives both the figures and,
with resampling counts as weights, their confidence intervals. Definitions are scikit-learn's (`roc_auc_score`,
`average_precision_score`, `precision_recall_fscore_support`), against which the tests hold them.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from agri_assets.errors import EvaluationError

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.integer]

MetricName = Literal["accuracy", "balanced_accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc", "brier", "ece"]
METRICS: tuple[MetricName, ...] = get_args(MetricName)

ECE_BINS = 15
"""Equal-width bins of the expected calibration error (Guo et al. 2017, "On Calibration of Modern Neural Networks")."""


class Scores(BaseModel):
    """Figures of one set of samples at one threshold; None where a figure is undefined (such as AUC of one class).

    Attributes:
        n: Samples.
        positives: Samples whose label is 1.
        balanced_accuracy: Mean of the shares called rightly in either class.
        pr_auc: Average precision.
        brier: Mean squared difference of probability and label.
        ece: Expected calibration error of the probability of class 1: the mean over samples of
            |mean probability - share of positives| of the sample's bin, in `ECE_BINS` equal-width bins.
        confusion: [[tn, fp], [fn, tp]].
    """

    model_config = ConfigDict(frozen=True)

    n: int
    positives: int
    accuracy: float | None
    balanced_accuracy: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    roc_auc: float | None
    pr_auc: float | None
    brier: float | None
    ece: float | None
    confusion: tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class Ranking:
    """Labels and probabilities laid out so that any weighting of the samples is scored by sums alone.

    Attributes:
        order: Samples by falling probability.
        starts: Where each run of equal probabilities begins in that order.
        positive: 1.0 where the label is 1, in the order given.
        features: (n, 5 + 3 * ECE_BINS): indicators of tn, fp, fn, tp, the squared error, then per bin one, probability
            and label.
    """

    order: npt.NDArray[np.intp]
    starts: npt.NDArray[np.intp]
    positive: Floats
    features: Floats

    @classmethod
    def of(cls, label: Labels, probability: Floats, threshold: float) -> "Ranking":
        """Lay out samples; `label` (n,) of 0 and 1, `probability` (n,) in [0, 1].

        Raises:
            EvaluationError: There are no samples, or a value is out of range.
        """
        _check(label, probability)
        order = np.argsort(-probability, kind="stable")
        falling = probability[order]
        starts = np.flatnonzero(np.r_[True, falling[1:] != falling[:-1]])
        return cls(order, starts, (label == 1).astype(np.float64), _features(label, probability, threshold))

    def score(self, weights: Floats) -> dict[MetricName, Floats]:
        """Every metric for each row of `weights` (r, n); arrays of length r, NaN where undefined."""
        sums = weights @ self.features
        tn, fp, fn, tp, squares = sums[:, :5].T
        with np.errstate(divide="ignore", invalid="ignore"):
            roc_auc, pr_auc = self._areas(weights)
            return {
                "accuracy": (tn + tp) / (tn + fp + fn + tp),
                "balanced_accuracy": (tn / (tn + fp) + tp / (fn + tp)) / 2,
                "precision": tp / (tp + fp),
                "recall": tp / (tp + fn),
                "f1": 2 * tp / (2 * tp + fp + fn),
                "roc_auc": roc_auc,
                "pr_auc": pr_auc,
                "brier": squares / (tn + fp + fn + tp),
                "ece": _ece(sums[:, 5:]),
            }

    def _areas(self, weights: Floats) -> tuple[Floats, Floats]:
        """ROC AUC (Mann-Whitney, ties count half) and average precision, by weighted ranks."""
        sorted_weights, positive = weights[:, self.order], self.positive[self.order]
        hits = np.add.reduceat(sorted_weights * positive, self.starts, axis=1)
        called = np.add.reduceat(sorted_weights, self.starts, axis=1)
        true, all_called = hits.cumsum(axis=1), called.cumsum(axis=1)
        total, total_negative = true[:, -1], all_called[:, -1] - true[:, -1]
        misses = called - hits
        above = true - hits / 2
        roc_auc = (misses * above).sum(axis=1) / (total * total_negative)
        precision = np.divide(true, all_called, out=np.zeros_like(true), where=all_called > 0)
        return roc_auc, (hits * precision).sum(axis=1) / total


def score(label: Labels, probability: Floats, threshold: float) -> Scores:
    """Score samples; one is called agricultural when its probability is at least `threshold`.

    Raises:
        EvaluationError: There are no samples, or a value is out of range.
    """
    ranking = Ranking.of(label, probability, threshold)
    values = {name: _plain(value[0]) for name, value in ranking.score(np.ones((1, len(label)))).items()}
    tn, fp, fn, tp = (int(count) for count in ranking.features[:, :4].sum(axis=0))
    return Scores(n=len(label), positives=fn + tp, confusion=((tn, fp), (fn, tp)), **values)


ThresholdRule = Literal["f1", "youden", "recall"]


def choose_threshold(label: Labels, probability: Floats, rule: ThresholdRule, wanted_recall: float = 0.999) -> float:
    """The threshold that is best by a rule.

    `f1` takes the highest F1; `youden` the highest recall minus false-positive rate (Youden, 1950); `recall` the
    highest precision among those that reach a wanted recall.

    Candidates lie midway between neighbouring distinct probabilities; among equally good ones, the nearest to 0.5.

    Raises:
        EvaluationError: A class is missing, so that no threshold is better than another.
    """
    _check(label, probability)
    if not 0 < label.sum() < len(label):
        raise EvaluationError(
            f"a threshold needs both classes in val, which has {label.sum()} of {len(label)} positive"
        )
    values, place = np.unique(probability, return_inverse=True)
    positives = np.bincount(place, weights=label == 1)
    everything = np.bincount(place)
    # At candidate k the samples with the k-th smallest distinct probability, or a larger one, are called.
    tp, called = positives[::-1].cumsum()[::-1], everything[::-1].cumsum()[::-1]
    total = positives.sum()
    f1 = 2 * tp / (called + total)
    youden = tp / total - (called - tp) / (len(label) - total)
    precision = np.where(tp >= wanted_recall * total, tp / called, -1.0)
    quality = {"f1": f1, "youden": youden, "recall": precision}[rule]
    candidates = _between(values)
    best = candidates[np.isclose(quality, quality.max(), rtol=0, atol=1e-12)]
    return float(best[np.argmin(np.abs(best - 0.5))])


def _between(values: Floats) -> Floats:
    """For each distinct value the middle between it and the one below, never rounding down onto that one."""
    middle = (values[1:] + values[:-1]) / 2
    return np.concatenate([values[:1], np.where(middle > values[:-1], middle, values[1:])])


def _features(label: Labels, probability: Floats, threshold: float) -> Floats:
    positive, called = label == 1, probability >= threshold
    outcomes = np.stack([~positive & ~called, ~positive & called, positive & ~called, positive & called], axis=1)
    member = np.eye(ECE_BINS)[calibration_bins(probability)]
    squares = (probability - positive)[:, None] ** 2
    binned = (member, member * probability[:, None], member * positive[:, None])
    return np.hstack([outcomes, squares, *binned]).astype(np.float64)


def calibration_bins(probability: Floats) -> npt.NDArray[np.intp]:
    """The bin of each probability: `ECE_BINS` equal widths over [0, 1], the last one closed."""
    return np.minimum((probability * ECE_BINS).astype(np.intp), ECE_BINS - 1)


def _ece(sums: Floats) -> Floats:
    weight, probability, positive = np.split(sums, 3, axis=1)
    return np.asarray(np.abs(probability - positive).sum(axis=1) / weight.sum(axis=1), dtype=np.float64)


def _check(label: Labels, probability: Floats) -> None:
    if len(label) == 0:
        raise EvaluationError("there are no samples to score; materialise the splits again")
    if not np.isin(label, (0, 1)).all():
        raise EvaluationError(f"labels must be 0 or 1, found {sorted(set(label.tolist()))[:5]}")
    if not ((probability >= 0) & (probability <= 1)).all():
        raise EvaluationError("a model gave a probability that is not in [0, 1]; train it again")


def _plain(value: np.float64) -> float | None:
    return float(value) if np.isfinite(value) else None
