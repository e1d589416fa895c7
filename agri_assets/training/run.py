"""One training from a proved split to a whole run folder: locked, resumed, recorded."""

import importlib
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from agri_assets.config import Collection
from agri_assets.errors import TrainingError
from agri_assets.loading.samples import SampleTable, load_samples
from agri_assets.models.contract import CONTRACT_FILE, OFFSET_CONVENTIONS, ModelContract
from agri_assets.models.registry import MODELS, build_network, choose_backend
from agri_assets.models.weights import WEIGHTS_FILE, parameter_count
from agri_assets.objects import remove_folder
from agri_assets.progress import meter
from agri_assets.splits.build import check_splits
from agri_assets.splits.check import check_statistics
from agri_assets.splits.settings import Role
from agri_assets.splits.summary import SplitSummary, read_summary
from agri_assets.store.commit import locked, write_json
from agri_assets.store.fingerprint import file_digest, fingerprint
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, Table, run_stage
from agri_assets.training.curve import CURVE_FILE, draw_curve
from agri_assets.training.device import device_name, held_device
from agri_assets.training.history import History
from agri_assets.training.parent import watch_parent
from agri_assets.training.plan import TrainingPlan, plan_training
from agri_assets.training.recipe import ModelName
from agri_assets.training.recorder import Recorder
from agri_assets.training.task import Task
from agri_assets.training.usage import MemoryWatch

HISTORY_FILE = "history.json"

FITS = {"torch": "agri_assets.training.torch_fit", "keras": "agri_assets.training.keras_fit"}
"""Per framework, the module with `prepare(recipe, name)` and `fit(task, recorder)`."""

LOCK_WAIT_S = 30.0
"""A retry may find its predecessor about to end with its parent; longer means that someone else trains this run."""


def train_model(
    collection: Collection, paths: CollectionPaths, model: ModelName, overrides: Mapping[str, Any] | None = None
) -> Outcome:
    """Train one model, or go on where an interrupted training stopped, or find it done.

    Writes `models/<model>/<run>/` (weights, contract, history, loss curve, complete.json last) and then
    `models/<model>/current.json`.

    Args:
        collection: The collection.
        paths: Where it lies.
        model: One of the collection's models.
        overrides: Settings laid over the recipe (see `overrides.override`).

    Raises:
        ConfigError: The collection does not train this model, or an override is no setting of a recipe.
        SplitError: The proof of the split fails or is stale, or its statistics are not those of the train pixels.
        ModelError: An option of the network is wrong.
        TrainingError: A split lacks a class, or the loss is not finite.
        StoreError: Another process trains this run.
    """
    watch_parent()
    split = check_splits(collection, paths)
    plan = plan_training(collection, paths, model, overrides)
    if plan.done:
        outcome = run_stage(plan.receipt, plan.fingerprint, lambda: _train(paths, model, plan, split), plan.name)
    else:
        outcome = _train_alone(paths, model, plan, split)
    write_json(paths.model(model) / "current.json", {"run": plan.run, "fingerprint": plan.fingerprint})
    return outcome


def _train_alone(paths: CollectionPaths, model: ModelName, plan: TrainingPlan, split: SplitSummary) -> Outcome:
    """Train with the run folder and the device to ourselves; whoever had them before may have done the work."""
    with locked(plan.folder, f"run {plan.run} of {plan.name}", LOCK_WAIT_S), held_device(paths.root, device_name()):
        # the device may have been waited for as long as somebody else trained on it
        if read_summary(paths) != split:
            raise TrainingError(f"{plan.name}: the split was made again meanwhile; start the training again")
        return run_stage(plan.receipt, plan.fingerprint, lambda: _train(paths, model, plan, split), plan.name)


def _train(paths: CollectionPaths, model: ModelName, plan: TrainingPlan, split: SplitSummary) -> Outcome:
    check_statistics(paths, split)
    framework = MODELS[model].framework
    choose_backend(framework)
    loop = importlib.import_module(FITS[framework])
    loop.prepare(plan.recipe, plan.name)
    task = Task(
        name=plan.name,
        model=model,
        framework=framework,
        recipe=plan.recipe,
        network=build_network(model, len(split.bands), split.tile_size, plan.recipe.options),
        split=split,
        train=_samples(paths, "train"),
        val=_samples(paths, "val"),
        cubes={tile: paths.cube(tile) for tile in split.cubes},
        device=device_name(),
        folder=plan.folder,
    )
    started = time.monotonic()
    with MemoryWatch() as memory, meter(f"train {plan.name}", task.steps) as progress:
        recorder = Recorder(plan.name, plan.recipe.epochs, plan.recipe.patience, progress)
        loop.fit(task, recorder)
    return _record(task, plan, paths.collection, recorder, time.monotonic() - started, memory.peak_bytes)


def _samples(paths: CollectionPaths, role: Role) -> SampleTable:
    samples = load_samples(paths, role)
    if len(np.unique(samples.label)) < 2:
        raise TrainingError(f"{paths.assignments}: {role} holds one class only; training needs both, add samples")
    return samples


def _record(
    task: Task, plan: TrainingPlan, collection: str, recorder: Recorder, seconds: float, peak_bytes: int
) -> Outcome:
    """Write contract, history and curve beside the weights; what only a resume needed goes."""
    history, folder = recorder.history, plan.folder
    contract = _contract(task, collection)
    contract.save(folder)
    write_json(folder / HISTORY_FILE, history.model_dump(mode="json"))
    draw_curve(history, plan.name, folder / CURVE_FILE)
    remove_folder(task.checkpoints)
    best, split = history.best, task.split
    return Outcome(
        path=folder,
        fingerprint=plan.fingerprint,
        data_version=fingerprint(contract=contract),
        summary=f"val ROC AUC {best.val_auc:.3f} after epoch {best.epoch} of {len(history.epochs)}, {seconds:.0f} s",
        metadata={
            "model": task.model,
            "framework": task.framework,
            "run": plan.run,
            "parameters": contract.parameters,
            "val_roc_auc": best.val_auc,
            "val_loss": best.val_loss,
            "train_loss": best.loss,
            "best_epoch": best.epoch,
            "epochs": len(history.epochs),
            "epochs_resumed": recorder.resumed,
            "train_samples": len(task.train),
            "val_samples": len(task.val),
            "train_seconds": seconds,
            "samples_per_s": history.samples_per_s,
            "data_wait": history.data_wait,
            "peak_memory_mb": peak_bytes / 1e6,
            "device": task.device,
            "precision": plan.recipe.precision,
            "proof": split.proof,
            "split_fingerprint": split.fingerprint,
            "weights": str(folder / WEIGHTS_FILE),
        },
        tables={"epochs": _table(history)},
        pictures={"loss curve": folder / CURVE_FILE},
        warnings=split.warnings,
        outputs=tuple(folder / name for name in (WEIGHTS_FILE, CONTRACT_FILE, HISTORY_FILE, CURVE_FILE)),
    )


def _contract(task: Task, collection: str) -> ModelContract:
    split = task.split
    return ModelContract(
        model=task.model,
        framework=task.framework,
        collection=collection,
        bands=split.bands,
        units=split.units,
        offset_convention=OFFSET_CONVENTIONS[split.units],
        mean=split.mean,
        std=split.std,
        tile_size=split.tile_size,
        split_fingerprint=split.fingerprint,
        proof=split.proof,
        options=task.recipe.options,
        parameters=parameter_count(task.network, task.framework),
        weights_digest=file_digest(task.folder / WEIGHTS_FILE),
    )


def _table(history: History) -> Table:
    rows = ({**record.model_dump(), "samples_per_s": record.samples_per_s} for record in history.epochs)
    return Table(rows=tuple(rows))
