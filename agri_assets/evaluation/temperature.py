"""Temperature scaling: one number that makes a model's probabilities honest without changing their order."""

import numpy as np
import numpy.typing as npt

from agri_assets.evaluation.intervals import groups_of
from agri_assets.evaluation.metrics import Floats, Labels

RANGE = (0.1, 10.0)
"""Temperatures looked at: beyond these the probabilities say nothing, or nothing but 0 and 1."""

FOLDS = 5

_EDGE = 1e-12
"""Keeps logits of probabilities that rounding took to 0 or 1 finite."""

LARGEST_LOGIT = float(np.log1p(-_EDGE) - np.log(_EDGE))
"""Logit of the most certain probability that is told from 1."""


def scaled(probability: Floats, temperature: float) -> Floats:
    """Probabilities with their logits divided by the temperature; unchanged, bit for bit, where it is 1."""
    if temperature == 1.0:
        return probability
    return np.asarray(1.0 / (1.0 + np.exp(-logits(probability) / temperature)))


def logits(probability: Floats) -> Floats:
    """`log(p / (1 - p))`, finite also at 0 and 1."""
    kept = np.clip(probability, _EDGE, 1.0 - _EDGE)
    return np.asarray(np.log(kept) - np.log1p(-kept))


def choose_temperature(label: Labels, probability: Floats, cell: npt.NDArray[np.object_]) -> float:
    """The temperature with the least cross-entropy on val (Guo et al., 2017, arXiv:1706.04599); 1 unless it helps.

    It helps if temperatures found without a fifth of the cells lower the cross-entropy of that fifth, on the whole.

    Args:
        label: (n,) of 0 and 1, of val.
        probability: (n,) in [0, 1].
        cell: (n,) names of ground cells, which are kept together.
    """
    values, fold = logits(probability), groups_of(cell, most=FOLDS)
    found = np.empty(len(values))
    for number in range(int(fold.max()) + 1):
        held_out = fold == number
        found[held_out] = values[held_out] / _best(label[~held_out], values[~held_out])
    return _best(label, values) if _loss(label, found) < _loss(label, values) else 1.0


def _best(label: Labels, values: Floats) -> float:
    # takes a second to import, and most often what it is needed for is done already
    from scipy.optimize import minimize_scalar

    if not 0 < label.sum() < len(label):
        return 1.0
    low, high = np.log(RANGE)
    found = minimize_scalar(lambda log: _loss(label, values / np.exp(log)), bounds=(low, high), method="bounded")
    return float(np.exp(found.x))


def _loss(label: Labels, values: Floats) -> float:
    """Mean cross-entropy of logits."""
    return float(np.mean(np.logaddexp(0.0, values) - label * values))
