"""Where a model is right and wrong: figures by group, with a class left out, and its most confident mistakes."""

import itertools
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from agri_assets.evaluation.intervals import Assessed, assess
from agri_assets.evaluation.metrics import Floats, Labels
from agri_assets.evaluation.records import ClassScores

Names = npt.NDArray[np.object_]


CLEAR_BINS = (0.0, 0.5, 0.8, 0.95, 1.0)
"""Least clear fractions of the groups of samples by how much of their ground is seen."""


def by_class(label: Labels, probability: Floats, names: Names, threshold: float) -> dict[str, ClassScores]:
    """Figures per class name, the largest class first; samples without a class name are left out."""
    return _by(label, probability, names, threshold, _classes(names))


def by_group(label: Labels, probability: Floats, names: Names, threshold: float) -> dict[str, ClassScores]:
    """The same by name of any group, in order of name; nothing where there are fewer than two."""
    groups = sorted(_classes(names), key=_natural)
    return _by(label, probability, names, threshold, groups) if len(groups) > 1 else {}


def _natural(name: str) -> list[tuple[str, int]]:
    """By which `50% to 80%` comes before `100%`: numbers count as such."""
    return [(text, int(number or 0)) for text, number in re.findall(r"(\D*)(\d*)", name)]


def clear_groups(clear: Floats) -> Names:
    """Name of the group of each clear fraction, NaN where it is unknown."""
    names = [f"{low:.0%} to {high:.0%}" for low, high in itertools.pairwise(CLEAR_BINS)] + ["100%"]
    place = np.searchsorted(CLEAR_BINS, np.nan_to_num(clear), side="right") - 1
    found: Names = np.array(names, dtype=object)[place]
    found[np.isnan(clear)] = None
    return found


def _by(
    label: Labels, probability: Floats, names: Names, threshold: float, groups: Sequence[str]
) -> dict[str, ClassScores]:
    called, found = probability >= threshold, {}
    for name in groups:
        mine = names == name
        found[name] = ClassScores(
            n=int(mine.sum()),
            positives=int(label[mine].sum()),
            called=float(called[mine].mean()),
            accuracy=float((called[mine] == (label[mine] == 1)).mean()),
        )
    return found


def without_class(
    label: Labels, probability: Floats, cell: Names, names: Names, threshold: float
) -> dict[str, Assessed]:
    """The figures of what remains when one agricultural class is left out, for each where both labels remain.

    A class is agricultural when most of its samples are. Classes such as EuroSAT's Pasture are arguable, and the
    figures without them tell how much hangs on that argument.
    """
    found = {}
    for name in _classes(names):
        rest = names != name
        if label[~rest].mean() > 0.5 and 0 < label[rest].sum() < rest.sum():
            found[name] = assess(label[rest], probability[rest], cell[rest], threshold)
    return found


def worst_mistakes(label: Labels, probability: Floats, threshold: float, count: int) -> npt.NDArray[np.intp]:
    """Indices of the wrong samples farthest from the threshold, the worst first.

    Distance is relative to the room on that side of the threshold, so that both kinds of mistake can lead.
    """
    called = probability >= threshold
    room = np.where(called, 1 - threshold, threshold)
    distance = np.abs(probability - threshold) / np.maximum(room, np.finfo(float).tiny)
    wrong = np.flatnonzero(called != (label == 1))
    return wrong[np.argsort(-distance[wrong], kind="stable")][:count]


def _classes(names: Names) -> list[str]:
    known, counts = np.unique(names[names != np.array(None)].astype(str), return_counts=True)
    return [str(name) for name in known[np.argsort(-counts, kind="stable")]]
