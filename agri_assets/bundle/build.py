"""The stage `bundle`: the champion, exported, held against itself and written as one folder."""

from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from agri_assets.bundle.agreement import CALIBRATION as CALIBRATION_TILES
from agri_assets.bundle.agreement import (
    LOSS_LIMIT,
    Trial,
    calibration_batches,
    compare,
    evenly,
    measure_int8,
    open_trial,
)
from agri_assets.bundle.card import model_card
from agri_assets.bundle.contract import CARD_FILE, INT8_FILE, ONNX_FILE, Agreement, BundleContract, Figures, Int8
from agri_assets.bundle.runner import Runner, open_runner
from agri_assets.config import Collection
from agri_assets.cube.open import cube_info
from agri_assets.errors import EvaluationError
from agri_assets.evaluation.champion import Champion, read_champion
from agri_assets.evaluation.metrics import METRICS
from agri_assets.evaluation.records import Metrics, command, read_report, warnings_for
from agri_assets.loading.samples import load_samples
from agri_assets.models.contract import CONTRACT_FILE, ModelContract
from agri_assets.models.predictor import load_predictor
from agri_assets.models.weights import WEIGHTS_FILE
from agri_assets.splits.summary import SplitSummary, read_summary
from agri_assets.store.commit import staged
from agri_assets.store.fingerprint import file_digest, fingerprint, run_name
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, Scalar, run_stage

CODE_VERSION = "1"

PICTURE_FILE = "roc.png"
"""The report's picture that goes along with the card."""

SOFTWARE = ("agri-assets", "torch", "keras", "timm", "onnx", "onnxscript", "onnxruntime", "numpy")


@dataclass(frozen=True)
class Task:
    """One bundle to make.

    Attributes:
        collection: Whose champion.
        paths: Where its outputs are.
        champion: The model in use.
        split: What it was trained and judged on.
        metrics: Its report's figures.
        trained: Its own contract.
    """

    collection: Collection
    paths: CollectionPaths
    champion: Champion
    split: SplitSummary
    metrics: Metrics
    trained: ModelContract

    @property
    def run_folder(self) -> Path:
        """The training run."""
        return self.paths.model_run(self.champion.model, self.champion.run)

    @property
    def report(self) -> Path:
        """The report that made it champion."""
        return self.paths.report_run(self.champion.model, self.champion.report)

    @property
    def folder(self) -> Path:
        """Where the bundle goes."""
        return self.paths.bundle(self.champion.model, self.champion.run)

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.collection.name}/bundle {self.champion.model}"

    @cached_property
    def cubes(self) -> dict[str, Path]:
        """The cube of each tile in the split."""
        return {tile: self.paths.cube(tile) for tile in self.split.cubes}

    @cached_property
    def fingerprint(self) -> str:
        """Of the champion, its weights and report, and what the contract says of maps."""
        return fingerprint(
            stage="bundle",
            code=CODE_VERSION,
            champion=self.champion.model_dump(exclude={"decided"}),
            weights=self.trained.weights_digest,
            clouds=self.collection.clouds,
            resampling=self.collection.resampling,
            licence=self.collection.licence,
            limits=[self.collection.map.min_clear, self.collection.split.min_valid],
        )


def build_bundle(collection: Collection, paths: CollectionPaths) -> Outcome:
    """Write the champion as `bundle/<model>-<run>/`: weights, ONNX networks, contract and card.

    Raises:
        EvaluationError: There is no champion, or its report is not of the present split.
        ModelError: The ONNX network does not give what the trained one gives.
    """
    task = _task(collection, paths)
    return run_stage(paths.receipt("bundle"), task.fingerprint, lambda: _make(task), task.name)


def _task(collection: Collection, paths: CollectionPaths) -> Task:
    champion, compare_models = read_champion(paths), command(collection.name, "model_comparison")
    if champion is None:
        raise EvaluationError(f"{paths.champion}: there is no champion to bundle; run `{compare_models}`")
    split = read_summary(paths)
    if champion.split_fingerprint != split.fingerprint:
        raise EvaluationError(
            f"{paths.champion}: {champion.model} was judged on split {run_name(champion.split_fingerprint)}, the "
            f"present one is {run_name(split.fingerprint)}; run `{compare_models}`"
        )
    trained = ModelContract.load(paths.model_run(champion.model, champion.run))
    metrics = read_report(paths.report_run(champion.model, champion.report))
    return Task(collection, paths, champion, split, metrics, trained)


def _make(task: Task) -> Outcome:
    # brings torch, which a bundle that is there already does not need
    from agri_assets.bundle.export import export_onnx

    test = load_samples(task.paths, "test")
    trial = open_trial(test, task.cubes, task.report / "predictions.parquet")
    with staged(task.folder) as folder:
        folder.mkdir()
        (folder / WEIGHTS_FILE).write_bytes((task.run_folder / WEIGHTS_FILE).read_bytes())
        if (picture := task.report / PICTURE_FILE).exists():
            (folder / PICTURE_FILE).write_bytes(picture.read_bytes())
        export_onnx(task.run_folder, task.champion.temperature, folder / ONNX_FILE)
        portable = _open(task, folder / ONNX_FILE)
        trained = load_predictor(task.run_folder)
        agreement = compare(trial, trained, task.champion.temperature, portable, task.name)
        int8 = _make_int8(task, trial, portable, folder)
        contract = _contract(task, folder, agreement, int8)
        contract.save(folder)
        picture_name = PICTURE_FILE if PICTURE_FILE in contract.files else None
        (folder / CARD_FILE).write_text(model_card(contract, task.metrics, picture_name), encoding="utf-8")
    return _outcome(task, contract)


def _open(task: Task, path: Path) -> Runner:
    contract = task.trained
    return open_runner(path, len(contract.bands), contract.tile_size, contract.test_orientations)


def _make_int8(task: Task, trial: Trial, portable: Runner, folder: Path) -> Int8:
    """Make and measure the 8-bit network; it goes again where it loses too much."""
    from agri_assets.bundle.quantize import quantize

    train, path = load_samples(task.paths, "train"), folder / INT8_FILE
    quantize(folder / ONNX_FILE, path, calibration_batches(train, task.cubes))
    calibration = len(evenly(len(train), CALIBRATION_TILES))
    measured = measure_int8(trial, task.champion.threshold, portable, _open(task, path), calibration, task.name)
    if not measured.shipped:
        path.unlink()
    return measured


def _contract(task: Task, folder: Path, agreement: Agreement, int8: Int8) -> BundleContract:
    """What is known of a bundle whose other files are written, but for the card that tells it to people."""
    collection, metrics = task.collection, task.metrics
    return BundleContract(
        **dict(task.trained),
        run=task.champion.run,
        pixel_size=_pixel_size(task),
        threshold=task.champion.threshold,
        temperature=task.champion.temperature,
        resampling=collection.resampling,
        # where weights of a mask lie is of no use elsewhere
        clouds=collection.clouds.model_copy(update={"weights": None}),
        min_clear=collection.map.min_clear,
        min_valid=collection.split.min_valid,
        test=Figures(
            report=metrics.report,
            n=metrics.n,
            positives=metrics.positives,
            cells=metrics.cells,
            values={name: metrics.value(name) for name in METRICS},
            ci95={name: metrics.ci95.get(name) for name in METRICS},
        ),
        warnings=warnings_for(metrics, task.split.warnings, collection.source.kind),
        agreement=agreement,
        int8=int8,
        licence=collection.licence,
        files={path.name: file_digest(path) for path in sorted(folder.iterdir())},
        software={name: version(name) for name in SOFTWARE},
    )


def _pixel_size(task: Task) -> float | None:
    """Edge of a pixel of the collection's cubes, which all have the same."""
    grid = cube_info(next(iter(task.cubes.values()))).grid
    return grid.resolution if grid else None


def _outcome(task: Task, contract: BundleContract) -> Outcome:
    int8, folder = contract.int8, task.folder
    said = f"loses {int8.loss:.2f} points, {int8.speedup:.2f} times as fast"
    warnings = () if int8.shipped else (f"the 8-bit network {said}: more than {LOSS_LIMIT} points, so it is left out",)
    figures: dict[str, Scalar] = {
        "model": contract.model,
        "run": contract.run,
        "tiles_compared": contract.agreement.tiles,
        "largest_difference": contract.agreement.network,
        "largest_difference_stored": contract.agreement.stored,
        "int8_shipped": int8.shipped,
        "int8_points_lost": int8.loss,
        "int8_accuracy": int8.accuracy_int8,
        "accuracy": int8.accuracy,
        "int8_speedup": int8.speedup,
        "int8_tiles_per_s": int8.tiles_per_s,
    }
    return Outcome(
        path=folder,
        fingerprint=task.fingerprint,
        data_version=fingerprint(made_from=task.fingerprint, files=contract.files),
        summary=f"{contract.model} run {contract.run}: ONNX within {contract.agreement.network:.1e}, int8 {said}",
        metadata=figures,
        pictures={"ROC curve": folder / PICTURE_FILE} if PICTURE_FILE in contract.files else {},
        warnings=warnings,
        outputs=(folder, *(folder / name for name in (CONTRACT_FILE, CARD_FILE, *contract.files))),
    )
