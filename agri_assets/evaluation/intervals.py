"""Confidence intervals by resampling ground cells: samples of one cell are not independent of each other."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from agri_assets.evaluation.metrics import METRICS, Floats, Labels, MetricName, Ranking

Interval = tuple[float, float]

FEW_CELLS = 20
"""With fewer cells the percentile bootstrap is known to be too narrow, and reports say so."""

_BLOCK = 4_000_000
"""Weights held at once (32 MB), so that memory does not grow with the number of resamplings."""


def intervals(
    label: Labels,
    probability: Floats,
    cell: npt.NDArray[np.object_],
    threshold: float,
    resamplings: int,
    seed: int = 0,
) -> dict[MetricName, Interval | None]:
    """95 % percentile intervals of every metric by the cluster bootstrap (Efron and Tibshirani 1993, chapters 8, 13).

    Args:
        label: (n,) of 0 and 1.
        probability: (n,) in [0, 1].
        cell: (n,) names of ground cells; all samples of a cell are drawn together.
        threshold: Fixed beforehand; its own uncertainty is not part of the intervals.
        resamplings: Number of bootstrap resamplings.
        seed: Seed of the draws.

    Returns:
        [low, high] per metric; None where more than half of the resamplings leave the metric undefined.
    """
    ranking = Ranking.of(label, probability, threshold)
    names, place = np.unique(cell.astype(str), return_inverse=True)
    parts = [ranking.score(counts[:, place]) for counts in _draws(len(names), len(label), resamplings, seed)]
    return {name: _percentiles(np.concatenate([part[name] for part in parts])) for name in METRICS}


def _draws(cells: int, samples: int, resamplings: int, seed: int) -> Iterator[Floats]:
    """Blocks of (r, cells) counts: how often each cell is drawn when as many are drawn as there are."""
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK // samples)
    for first in range(0, resamplings, block):
        rows = min(block, resamplings - first)
        drawn = rng.integers(cells, size=(rows, cells)) + np.arange(rows)[:, None] * cells
        yield np.bincount(drawn.ravel(), minlength=rows * cells).reshape(rows, cells).astype(np.float64)


def _percentiles(values: Floats) -> Interval | None:
    defined = values[np.isfinite(values)]
    if len(defined) * 2 < len(values):
        return None
    low, high = np.percentile(defined, (2.5, 97.5))
    return float(low), float(high)
