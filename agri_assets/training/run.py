"""One training from a proved split to a whole run folder: locked, resumed, recorded."""

import importlib
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from agri_assets.config import Collection
from agri_assets.errors import AgriAssetsError, TrainingError
from agri_assets.loading.classes import target_classes
from agri_assets.loading.samples import SampleTable, load_samples
from agri_assets.models.registry import MODELS, build_network, choose_backend
from agri_assets.progress import Meter, meter
from agri_assets.splits.build import check_splits
from agri_assets.splits.check import check_statistics
from agri_assets.splits.settings import Role
from agri_assets.splits.summary import SplitSummary, read_summary
from agri_assets.store.commit import locked
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, run_stage
from agri_assets.training.device import device_name, held_devices, held_free_device
from agri_assets.training.done import make_live
from agri_assets.training.findings import fed_by
from agri_assets.training.outcome import record
from agri_assets.training.parent import watch_parent
from agri_assets.training.plan import TrainingPlan, plan_training
from agri_assets.training.ranks import Ranks, ranks_of
from agri_assets.training.recipe import ModelName
from agri_assets.training.recorder import Recorder
from agri_assets.training.task import Task, outputs_for
from agri_assets.training.usage import Usage, combined

FITS = {"torch": "agri_assets.training.torch_fit", "keras": "agri_assets.training.keras_fit"}
"""Per framework, the module with `prepare(recipe, name)` and `fit(task, recorder)`."""

TrainVal = tuple[SampleTable, SampleTable]
"""The samples to learn from, and those to choose the best epoch by."""

LOCK_WAIT_S = 30.0
"""A retry may find its predecessor about to end with its parent; longer means that someone else trains this run."""


def train_model(
    collection: Collection, paths: CollectionPaths, model: ModelName, overrides: Mapping[str, Any] | None = None
) -> Outcome:
    """Train one model, or go on where an interrupted training stopped, or find it done.

    Writes `models/<model>/<run>/` (weights, contract, history, loss curve, complete.json last) and then
    `models/<model>/current.json`. Under torchrun all its processes train together, and the first one decides and
    writes; each returns the outcome, or raises what the first one raises.

    Args:
        collection: The collection.
        paths: Where it lies.
        model: One of the collection's models.
        overrides: Settings laid over the recipe (see `overrides.override`).

    Raises:
        ConfigError: The collection does not train this model, or an override is no setting of a recipe.
        SplitError: The proof of the split fails or is stale, or its statistics are not those of the train pixels.
        ModelError: An option of the network is wrong, or weights to begin with do not fit.
        TrainingError: A split lacks a class, or the loss is not finite.
        StoreError: Another process trains this run.
    """
    watch_parent()
    with ranks_of() as ranks:
        names = ranks.gather(device_name())
        if not ranks.leads:
            return _follow(paths, model, ranks)
        try:
            outcome = _lead(collection, paths, model, overrides, ranks, names)
        except AgriAssetsError as error:
            if not ranks.busy:
                ranks.tell(error)
            raise
        ranks.tell(outcome)
        return outcome


def train_on(
    collection: Collection, paths: CollectionPaths, model: ModelName, plan: TrainingPlan, samples: TrainVal
) -> Outcome:
    """Train on samples of one's own choice, on this device, with the statistics of the split: for an experiment.

    The live run of the model stays as it is.

    Args:
        collection: The collection.
        paths: Where it lies.
        model: One of the collection's models.
        plan: Which run this is.
        samples: Of train and of val.

    Raises:
        SplitError: The proof of the collection's split fails or is stale.
        TrainingError: The loss is not finite.
        StoreError: Another process trains this run.
    """
    # of the samples chosen here nothing is proved, and the contract says so
    chosen = {"proof": "none", "fingerprint": plan.fingerprint}
    split = check_splits(collection, paths).model_copy(update=chosen)
    with locked(plan.folder, f"run {plan.run} of {plan.name}", LOCK_WAIT_S), held_free_device(paths.root):
        return run_stage(
            plan.receipt,
            plan.fingerprint,
            lambda: _train(paths, model, plan, split, Ranks(), samples),
            plan.name,
        )


def _follow(paths: CollectionPaths, model: ModelName, ranks: Ranks) -> Outcome:
    """Wait for what rank 0 decides, train with it, and wait for what comes out."""
    told: Any = ranks.tell(None)
    if isinstance(told, tuple):
        plan, split = told
        _fit(paths, model, plan, split, ranks)
        told = ranks.tell(None)
    if isinstance(told, AgriAssetsError):
        raise told
    outcome: Outcome = told
    return outcome


def _lead(
    collection: Collection,
    paths: CollectionPaths,
    model: ModelName,
    overrides: Mapping[str, Any] | None,
    ranks: Ranks,
    devices: list[str],
) -> Outcome:
    split = check_splits(collection, paths)
    plan = plan_training(collection, paths, model, overrides)
    _require_torch(plan, model, ranks)

    def work() -> Outcome:
        return run_stage(plan.receipt, plan.fingerprint, lambda: _train(paths, model, plan, split, ranks), plan.name)

    if plan.done:
        if not fed_by(split, plan.done):
            # whose statistics are wrong, those of the run or of the split, only the pixels tell
            check_statistics(paths, split)
        outcome = work()
    else:
        # whoever had run and devices before us may have done the work, or changed what it begins with
        held = held_free_device(paths.root) if ranks.size == 1 else held_devices(paths.root, devices)
        with locked(plan.folder, f"run {plan.run} of {plan.name}", LOCK_WAIT_S), held:
            if read_summary(paths) != split:
                raise TrainingError(f"{plan.name}: the split was made again meanwhile; start the training again")
            outcome = work()
    make_live(paths, model, plan)
    return outcome


def _require_torch(plan: TrainingPlan, model: ModelName, ranks: Ranks) -> None:
    if ranks.size > 1 and MODELS[model].framework != "torch":
        raise TrainingError(f"{plan.name}: {model} trains on one device; start it without torchrun")


def _train(
    paths: CollectionPaths,
    model: ModelName,
    plan: TrainingPlan,
    split: SplitSummary,
    ranks: Ranks,
    samples: TrainVal | None = None,
) -> Outcome:
    check_statistics(paths, split)
    ranks.tell((plan, split))
    task, recorder, usage = _fit(paths, model, plan, split, ranks, samples)
    return record(task, plan, paths, recorder, usage)


def _fit(
    paths: CollectionPaths,
    model: ModelName,
    plan: TrainingPlan,
    split: SplitSummary,
    ranks: Ranks,
    samples: TrainVal | None = None,
) -> tuple[Task, Recorder, dict[str, float]]:
    """What each rank does: build the network, train it; the usage is that of all ranks."""
    ranks.busy = True
    task = _task(paths, model, plan, split, samples)
    with Usage() as usage, _progress(plan, task, ranks) as progress:
        recorder = Recorder(plan.name, plan.recipe.epochs, plan.recipe.patience, progress)
        importlib.import_module(FITS[task.framework]).fit(task, recorder)
    figures = combined(ranks.gather(usage.figures()))
    ranks.busy = False
    return task, recorder, figures


def _progress(plan: TrainingPlan, task: Task, ranks: Ranks) -> AbstractContextManager[Meter]:
    label = f"train {plan.name}"
    return meter(label, task.steps) if ranks.leads else nullcontext(Meter(label, task.steps))


def _task(
    paths: CollectionPaths, model: ModelName, plan: TrainingPlan, split: SplitSummary, samples: TrainVal | None
) -> Task:
    framework, recipe = MODELS[model].framework, plan.recipe
    choose_backend(framework)
    importlib.import_module(FITS[framework]).prepare(recipe, plan.name)
    train, val = samples or (_samples(paths, "train"), _samples(paths, "val"))
    classes = target_classes(train) if recipe.fine_classes else ()
    network = build_network(model, len(split.bands), split.tile_size, recipe.options, outputs_for(classes))
    return Task(
        name=plan.name,
        model=model,
        framework=framework,
        recipe=recipe,
        network=network,
        split=split,
        train=train,
        val=val,
        cubes={tile: paths.cube(tile) for tile in split.cubes},
        device=device_name(),
        folder=plan.folder,
        classes=classes,
    )


def _samples(paths: CollectionPaths, role: Role) -> SampleTable:
    samples = load_samples(paths, role)
    if len(np.unique(samples.label)) < 2:
        raise TrainingError(f"{paths.assignments}: {role} holds one class only; training needs both, add samples")
    return samples
