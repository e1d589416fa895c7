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

    Where it is complete, the split is proved again, as before a training.

    Args:
        collection: The collection.
        paths: Where it lies.
        model: One of the collection's models.
        overrides: Settings laid over the recipe (see `overrides.override`).

    Raises:
        ConfigError: The collection does not train this model, or an override is no setting of a recipe.
        ModelError: There is no file of the weights to begin with.
        SplitError: There is no split, or its proof fails or is stale.
    """
    plan = plan_training(collection, paths, model, overrides)
    # where there is work, the trainer proves the split; and whose statistics are wrong, if any, it asks the pixels
    if not plan.done or not fed_by(check_splits(collection, paths), plan.done):
        return None
    if done := find_done(plan.receipt, plan.fingerprint, plan.name):
        make_live(paths, model, plan)
    return done


def make_live(paths: CollectionPaths, model: ModelName, plan: TrainingPlan) -> None:
    """Let the model's `current.json` name this run."""
    write_json(paths.model(model) / "current.json", {"run": plan.run, "fingerprint": plan.fingerprint})
