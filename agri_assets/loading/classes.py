"""The classes that a network learns: those that labels name, or only agricultural and not."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    # contracts are read where no tables are
    from agri_assets.loading.samples import SampleTable

Floats = npt.NDArray[np.float64]

FEWEST = 20
"""Train samples that a class of its own needs; rarer ones share a class with the others of their label."""

REST = {False: "other", True: "other agricultural"}
"""Names of what has no name or is rare."""


class TargetClass(BaseModel):
    """One output of a network.

    Attributes:
        name: As labels name it.
        agricultural: Which label its samples have.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    agricultural: bool


Classes = tuple[TargetClass, ...]
"""The outputs of a network, in order; empty for a single logit of agricultural."""


def target_classes(train: "SampleTable", fewest: int = FEWEST) -> Classes:
    """The classes of the train samples, by label and name; none where labels name no more than two.

    Args:
        train: The samples to learn from.
        fewest: Samples that a class of its own needs.
    """
    counts = np.bincount(train.kind, minlength=len(train.kinds))
    found = {
        TargetClass(
            name=kind.name if kind.name and count >= fewest else REST[kind.agricultural], agricultural=kind.agricultural
        )
        for kind, count in zip(train.kinds, counts.tolist(), strict=True)
        if count
    }
    ordered = sorted(found, key=lambda target: (target.agricultural, target.name))
    return tuple(ordered) if len(ordered) > 2 else ()


def targets(samples: "SampleTable", classes: Classes) -> npt.NDArray[np.uint8]:
    """Number of the class of each sample: its own, or the rest of its label, or the first of its label.

    Args:
        samples: Any samples.
        classes: As of `target_classes`; where there are none, the numbers are the labels.
    """
    if not classes:
        return samples.label
    numbers = {(target.name, target.agricultural): number for number, target in enumerate(classes)}
    first = {label: next(n for n, target in enumerate(classes) if target.agricultural is label) for label in REST}
    rest = {label: numbers.get((name, label), first[label]) for label, name in REST.items()}
    table = [numbers.get((kind.name or "", kind.agricultural), rest[kind.agricultural]) for kind in samples.kinds]
    return np.array(table, dtype=np.uint8)[samples.kind]


def agricultural_logit(outputs: npt.NDArray[np.floating[Any]], classes: Classes) -> Floats:
    """One logit of agricultural (n,): its logistic is the sum of the softmax of the agricultural classes.

    Args:
        outputs: Logits of a network, (n, outputs); one column where there are no classes.
        classes: What the columns stand for.
    """
    wide = np.asarray(outputs, dtype=np.float64)
    if not classes:
        return wide[:, 0]
    mask = np.array([target.agricultural for target in classes])
    # log(sum of p / (1 - sum of p)), where the common normaliser cancels
    return np.asarray(np.logaddexp.reduce(wide[:, mask], axis=1) - np.logaddexp.reduce(wide[:, ~mask], axis=1))
