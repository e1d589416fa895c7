"""What a finished training leaves beside its weights, and what it tells."""

from agri_assets.models.contract import CONTRACT_FILE, OFFSET_CONVENTIONS, ModelContract
from agri_assets.models.weights import WEIGHTS_FILE, parameter_count
from agri_assets.objects import remove_folder
from agri_assets.store.commit import write_json
from agri_assets.store.fingerprint import file_digest, fingerprint
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, Table
from agri_assets.training.curve import CURVE_FILE, draw_curve
from agri_assets.training.history import History
from agri_assets.training.lineage import SCENES_FILE, write_scenes
from agri_assets.training.plan import TrainingPlan
from agri_assets.training.recorder import Recorder
from agri_assets.training.task import Task

HISTORY_FILE = "history.json"


def record(
    task: Task, plan: TrainingPlan, paths: CollectionPaths, recorder: Recorder, usage: dict[str, float]
) -> Outcome:
    """Write contract, history, curve and scenes beside the weights; what only a resume needed goes.

    Args:
        task: What was trained.
        plan: Its run.
        paths: Where the collection lies.
        recorder: What happened.
        usage: What it took from the machine, as metadata.
    """
    history, folder = recorder.history, plan.folder
    contract = _contract(task, paths.collection)
    contract.save(folder)
    write_json(folder / HISTORY_FILE, history.model_dump(mode="json"))
    draw_curve(history, plan.name, folder / CURVE_FILE)
    scenes = write_scenes(folder, paths, task.split.cubes, task.train, task.val)
    remove_folder(task.checkpoints)
    best, split = history.best, task.split
    return Outcome(
        path=folder,
        fingerprint=plan.fingerprint,
        data_version=fingerprint(contract=contract),
        summary=f"val ROC AUC {best.val_auc:.3f} after epoch {best.epoch} of {len(history.epochs)}, "
        f"{history.seconds:.0f} s",
        metadata={
            "model": task.model,
            "framework": task.framework,
            "run": plan.run,
            "parameters": contract.parameters,
            "outputs": task.outputs,
            "val_roc_auc": best.val_auc,
            "val_loss": best.val_loss,
            "train_loss": best.loss,
            "best_epoch": best.epoch,
            "epochs": len(history.epochs),
            "epochs_resumed": recorder.resumed,
            "steps_resumed": recorder.steps_resumed,
            "train_samples": len(task.train),
            "val_samples": len(task.val),
            "train_seconds": history.seconds,
            "samples_per_s": history.samples_per_s,
            "data_wait": history.data_wait,
            **usage,
            "device": task.device,
            "precision": plan.recipe.precision,
            "proof": split.proof,
            "split_fingerprint": split.fingerprint,
            "weights": str(folder / WEIGHTS_FILE),
            "scenes": str(scenes),
        },
        tables={"epochs": _table(history)},
        pictures={"loss curve": folder / CURVE_FILE},
        warnings=split.warnings,
        outputs=tuple(folder / name for name in (WEIGHTS_FILE, CONTRACT_FILE, HISTORY_FILE, CURVE_FILE, SCENES_FILE)),
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
        classes=task.classes,
        test_orientations=task.recipe.test_orientations,
        parameters=parameter_count(task.network, task.framework),
        weights_digest=file_digest(task.folder / WEIGHTS_FILE),
    )


def _table(history: History) -> Table:
    rows = ({**record.model_dump(), "samples_per_s": record.samples_per_s} for record in history.epochs)
    return Table(rows=tuple(rows))
