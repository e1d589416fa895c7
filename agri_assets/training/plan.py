"""Which run a training is: its recipe, its fingerprint, its folder, and whether it is complete."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agri_assets.config import Collection
from agri_assets.errors import ConfigError
from agri_assets.splits.summary import read_summary
from agri_assets.store.fingerprint import fingerprint, run_name
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, find_outcome
from agri_assets.training.overrides import override
from agri_assets.training.recipe import ModelName, Recipe

CODE_VERSION = "2"

NO_EFFECT = {"workers", "checkpoint_minutes", "preset"}
"""Settings of a recipe that change how fast a training runs, not what comes out."""


@dataclass(frozen=True)
class TrainingPlan:
    """What a training would be.

    Attributes:
        name: For messages: `<collection>/<model>`.
        fingerprint: Of all its inputs.
        run: Name of its run.
        folder: Its run folder.
        recipe: Its recipe, overrides included.
        done: Its outcome if it is complete.
    """

    name: str
    fingerprint: str
    run: str
    folder: Path
    recipe: Recipe
    done: Outcome | None

    @property
    def receipt(self) -> Path:
        """`complete.json`: written last, so that a run folder with it is whole."""
        return self.folder / "complete.json"


def plan_training(
    collection: Collection, paths: CollectionPaths, model: ModelName, overrides: Mapping[str, Any] | None = None
) -> TrainingPlan:
    """Which run the present split and recipe lead to, and whether it is complete. The split is not proved here.

    Args:
        collection: The collection.
        paths: Where it lies.
        model: One of the collection's models.
        overrides: Settings laid over the recipe (see `overrides.override`).

    Raises:
        ConfigError: The collection does not train this model, or an override is no setting of a recipe.
        ModelError: There is no file of the weights to begin with.
        SplitError: There is no split.
    """
    if model not in collection.models:
        known = ", ".join(collection.models)
        raise ConfigError(f"{collection.name} does not train {model!r}; it trains {known} (see `models`)")
    overrides = overrides or {}
    preset = override(Recipe(), overrides).preset if "preset" in overrides else None
    recipe = override(collection.recipe_for(model, preset), overrides)
    full = fingerprint(
        stage="model",
        code=CODE_VERSION,
        model=model,
        bands=collection.bands,
        recipe={**recipe.model_dump(exclude=NO_EFFECT), "pretrained": _beginning(recipe.pretrained)},
        split=read_summary(paths).fingerprint,
    )
    folder = paths.model_run(model, run_name(full))
    done = find_outcome(folder / "complete.json", full)
    return TrainingPlan(f"{collection.name}/{model}", full, run_name(full), folder, recipe, done)


def _beginning(pretrained: str) -> str:
    """What the weights to begin with are."""
    if not pretrained:
        return ""
    # brings torch and timm, which take seconds
    from agri_assets.models.pretrained import pretrained_key

    return pretrained_key(pretrained)
