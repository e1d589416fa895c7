"""Whether a training is done already: told without torch, which takes seconds to import."""

from collections.abc import Mapping
from typing import Any

from agri_assets.config import Collection
from agri_assets.splits.check import check_splits
from agri_assets.store.commit import write_json
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, find_done
from agri_assets.training.findings import fed_by
from agri_assets.training.plan import TrainingPlan, plan_training
from agri_assets.training.recipe import ModelName


def find_trained(
    collection: Collection, paths: CollectionPaths, model: ModelName, overrides: Mapping[str, Any] | None = None
) -> Outcome | None:
    """The outcome of a training that is complete for the present split, now the live one; None where there is work.

    The split is proved again, as before a training.

    Args:
        collection: The collection.
        paths: Where it lies.
        model: One of the collection's models.
        overrides: Settings laid over the recipe (see `overrides.override`).

    Raises:
        ConfigError: The collection does not train this model, or an override is no setting of a recipe.
        SplitError: The proof of the split fails or is stale.
    """
    split = check_splits(collection, paths)
    plan = plan_training(collection, paths, model, overrides)
    if plan.done and not fed_by(split, plan.done):
        return None  # whose statistics are wrong, those of the run or of the split, the trainer asks the pixels
    if done := find_done(plan.receipt, plan.fingerprint, plan.name):
        make_live(paths, model, plan)
    return done


def make_live(paths: CollectionPaths, model: ModelName, plan: TrainingPlan) -> None:
    """Let the model's `current.json` name this run."""
    write_json(paths.model(model) / "current.json", {"run": plan.run, "fingerprint": plan.fingerprint})
