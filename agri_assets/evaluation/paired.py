"""Two models on the same samples: how sure it is that one is better than the other."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from agri_assets.evaluation.intervals import Interval, groups_of, row_blocks
from agri_assets.evaluation.metrics import Floats, Labels, MetricName, Ranking


class Pair(BaseModel):
    """One model against another on the same test samples.

    Attributes:
        better: The model with the higher metric.
        other: The other one.
        metric: Which metric.
        difference: By how much `better` is above `other`.
        ci95: 95 % interval of the difference, by resampling ground cells for both at once.
        only_better: Samples that only `better` calls rightly, each at its own threshold.
        only_other: Samples that only `other` calls rightly.
        p_value: McNemar's exact test of these two numbers. It takes samples for independent of each other, so where
            cells hold many samples it is too sure: the interval is the judge.
    """

    model_config = ConfigDict(frozen=True)

    better: str
    other: str
    metric: MetricName
    difference: float
    ci95: Interval | None
    only_better: int
    only_other: int
    p_value: float

    @property
    def sure(self) -> bool:
        """Whether the interval of the difference leaves out zero."""
        return self.ci95 is not None and self.ci95[0] > 0


def mcnemar(right: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> tuple[int, int, float]:
    """Samples that only the first, and only the second, calls rightly, and the exact two-sided p (McNemar 1947).

    Args:
        right: (n,) whether the first model calls each sample rightly.
        other: The same of the second.
    """
    # takes a second to import, and most often what it is needed for is done already
    from scipy.stats import binomtest

    first, second = int(np.sum(right & ~other)), int(np.sum(~right & other))
    return first, second, float(binomtest(first, first + second).pvalue) if first + second else 1.0


def difference_interval(
    label: Labels,
    probabilities: tuple[Floats, Floats],
    thresholds: tuple[float, float],
    cell: npt.NDArray[np.object_],
    metric: MetricName,
    resamplings: int,
    seed: int = 0,
) -> Interval | None:
    """95 % percentile interval of the first model's metric less the second's, by a bootstrap over cells.

    Both models are scored on the same draws, so that what is hard for both does not widen the interval.

    Args:
        label: (n,) of 0 and 1.
        probabilities: (n,) of each model.
        thresholds: Of each model.
        cell: (n,) names of ground cells.
        metric: Which metric.
        resamplings: Number of draws.
        seed: Of the draws.

    Returns:
        [low, high]; None where more than half of the draws leave the metric undefined.
    """
    first, second = (Ranking.of(label, *one) for one in zip(probabilities, thresholds, strict=True))
    group = groups_of(cell, seed)
    found = [
        first.score(weights)[metric] - second.score(weights)[metric] for weights in _draws(group, resamplings, seed)
    ]
    values = np.concatenate(found)
    defined = values[np.isfinite(values)]
    if len(defined) * 2 < len(values):
        return None
    low, high = np.percentile(defined, (2.5, 97.5))
    return float(low), float(high)


def _draws(group: npt.NDArray[np.intp], resamplings: int, seed: int) -> Iterator[Floats]:
    """Blocks of weights (r, n): how often each sample's group is drawn when as many are drawn as there are."""
    rng, groups = np.random.default_rng(seed), int(group.max()) + 1
    for rows in row_blocks(resamplings, len(group)):
        counts = rng.multinomial(groups, np.full(groups, 1 / groups), len(rows))
        yield counts[:, group].astype(np.float64)
