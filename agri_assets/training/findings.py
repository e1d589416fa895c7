"""What the checks of a trained model find: by what its run recorded."""

import math

from agri_assets.config import Collection
from agri_assets.models.contract import ModelContract
from agri_assets.splits.summary import SplitSummary
from agri_assets.store.finding import Finding
from agri_assets.store.receipt import Outcome


def model_findings(collection: Collection, split: SplitSummary, outcome: Outcome) -> tuple[Finding, ...]:
    """`finite_loss`, `train_statistics` and `data_wait` of a model.

    Args:
        collection: The collection.
        split: Its present split.
        outcome: That of the training, from now or from before.
    """
    return _finite_loss(outcome), _train_statistics(split, outcome), _data_wait(collection, outcome)


def fed_by(split: SplitSummary, outcome: Outcome) -> bool:
    """Whether a trained network is fed by the statistics that the split records."""
    contract = ModelContract.load(outcome.path)
    return (contract.bands, contract.mean, contract.std) == (split.bands, split.mean, split.std)


def _finite_loss(outcome: Outcome) -> Finding:
    losses = {name: outcome.metadata[name] for name in ("train_loss", "val_loss")}
    finite = all(isinstance(value, int | float) and math.isfinite(value) for value in losses.values())
    return Finding.judged(
        "finite_loss",
        finite,
        "loss of the best epoch: " + ", ".join(f"{name} {value}" for name, value in losses.items()),
        "delete the run folder and train again with a lower learning_rate or a longer warmup",
        **losses,
    )


def _train_statistics(split: SplitSummary, outcome: Outcome) -> Finding:
    """The network is fed by the statistics that the trainer found in the pixels of train before it began."""
    same = fed_by(split, outcome)
    return Finding.judged(
        "train_statistics",
        same,
        f"mean and std of {len(split.bands)} bands are those of the {split.counts['train'].n} train samples alone, as "
        "the trainer counted them again before it began"
        if same
        else "mean and std in the contract are not those of the split's train samples",
        "materialise splits, then train again",
        train_samples=split.counts["train"].n,
        train_digest=split.train_digest,
    )


def _data_wait(collection: Collection, outcome: Outcome) -> Finding:
    most, wait = collection.limits.data_wait, float(outcome.metadata["data_wait"] or 0)
    return Finding.judged(
        "data_wait",
        wait <= most,
        f"{wait:.1%} of the training was spent waiting for data",
        f"more than limits.data_wait ({most:.0%}): raise recipe.workers, put the data root on a faster disk, or set "
        "AGRI_CACHE_GB for object storage",
        data_wait=round(wait, 4),
    )
