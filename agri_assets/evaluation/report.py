"""One model's report: stored predictions, figures with intervals, pictures and a page, by what they were made from."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from agri_assets.config import Collection
from agri_assets.errors import EvaluationError
from agri_assets.evaluation.ambiguous import ambiguous_samples
from agri_assets.evaluation.breakdown import Names, by_class, by_group, clear_groups, without_class, worst_mistakes
from agri_assets.evaluation.chips import Chip, contact_sheet, read_chips
from agri_assets.evaluation.curves import Curve, confusion_png, precision_recall_png, reliability_png, roc_png
from agri_assets.evaluation.error_map import error_map_png
from agri_assets.evaluation.index_columns import index_column
from agri_assets.evaluation.intervals import Assessed, assess
from agri_assets.evaluation.metrics import METRICS, choose_threshold
from agri_assets.evaluation.predictions import predict, prediction_frame, write_predictions
from agri_assets.evaluation.random_split import read_random_split
from agri_assets.evaluation.records import ClassScores, Metrics, command, read_current, warnings_for
from agri_assets.evaluation.report_page import ReportContent, report_page
from agri_assets.evaluation.settings import EvaluationSettings
from agri_assets.evaluation.temperature import choose_temperature, scaled
from agri_assets.loading.samples import SampleTable, load_samples
from agri_assets.models.contract import ModelContract
from agri_assets.models.predictor import load_predictor
from agri_assets.splits.build import check_splits
from agri_assets.splits.settings import Role
from agri_assets.splits.summary import SplitSummary
from agri_assets.store.commit import staged, write_bytes, write_json, write_text
from agri_assets.store.fingerprint import fingerprint, run_name
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, Table, read_outcome, run_stage
from agri_assets.training.recipe import ModelName

CODE_VERSION = "4"

MISTAKES = 12
"""Chips in the contact sheet of the worst mistakes."""

SPLITS: tuple[Role, ...] = ("val", "test")
AMBIGUOUS = "ambiguous"

PICTURES = {
    "ROC curve": "roc.png",
    "Precision and recall": "precision_recall.png",
    "Confusion matrix": "confusion.png",
    "Reliability": "reliability.png",
    "Errors on the ground": "errors.png",
    "Worst mistakes": "mistakes.png",
}


@dataclass(frozen=True)
class Subject:
    """What a report is about: one training run of one model, on one split."""

    collection: Collection
    paths: CollectionPaths
    model: ModelName
    run: str
    training: Outcome
    split: SplitSummary

    @property
    def folder(self) -> Path:
        """The training run's folder."""
        return self.paths.model_run(self.model, self.run)

    @property
    def fingerprint(self) -> str:
        """Of everything that the report depends on; the champion's rule is not among it."""
        settings = self.collection.evaluation
        return fingerprint(
            stage="report",
            code=CODE_VERSION,
            training=[self.training.fingerprint, self.training.data_version],
            split=self.split.fingerprint,
            random_split=read_random_split(self.paths, self.model, self.run),
            licence=self.collection.licence,
            rule=[settings.threshold_rule, settings.wanted_recall, settings.temperature, settings.ambiguous],
        )

    @property
    def cubes(self) -> dict[str, Path]:
        """The cube of each tile in the split."""
        return {tile: self.paths.cube(tile) for tile in self.split.cubes}


def build_report(collection: Collection, paths: CollectionPaths, model: ModelName) -> Outcome:
    """Predict val and test with the model's live run, and report how good it is on test.

    Writes `reports/<model>/<run>/` (metrics.json, predictions.parquet, report.html, pictures, complete.json) and then
    `reports/<model>/current.json`.

    Raises:
        EvaluationError: The model is not trained, or was trained on another split than the present one.
        SplitError: The proof of the split fails or is stale.
        ModelError: The weights do not fit their contract.
    """
    subject = _subject(collection, paths, model)
    run = run_name(subject.fingerprint)
    folder = paths.report_run(model, run)
    outcome = run_stage(
        folder / "complete.json", subject.fingerprint, lambda: _make(subject, run), f"{collection.name}/{model}_report"
    )
    write_json(paths.report(model) / "current.json", {"run": run, "fingerprint": subject.fingerprint})
    return outcome


def _subject(collection: Collection, paths: CollectionPaths, model: ModelName) -> Subject:
    split = check_splits(collection, paths)
    current = read_current(paths.model(model) / "current.json")
    if current is None:
        raise EvaluationError(
            f"{paths.model(model) / 'current.json'}: {model} is not trained; run `{command(collection.name, model)}`"
        )
    folder = paths.model_run(model, current.run)
    contract = ModelContract.load(folder)
    if contract.split_fingerprint != split.fingerprint:
        raise EvaluationError(
            f"{model} run {current.run} was trained on split {run_name(contract.split_fingerprint)}, the present one "
            f"is {run_name(split.fingerprint)}; run `{command(collection.name, model)}`"
        )
    return Subject(collection, paths, model, current.run, read_outcome(folder / "complete.json"), split)


def _make(subject: Subject, run: str) -> Outcome:
    """Predict, score, draw and write everything into the report's folder, which appears whole."""
    predictor = load_predictor(subject.folder)
    tables = _tables(subject)
    frames = {
        split: prediction_frame(
            samples, predict(predictor, samples, subject.cubes, f"{subject.model}: predicting {split}"), split
        )
        for split, samples in tables.items()
    }
    unscaled = frames["test"]["probability"].to_numpy()
    temperature = _scale(frames, subject.collection.evaluation)
    groups = sample_groups(subject.paths, tables["test"], frames["test"])
    metrics = measure(subject, predictor.contract, run, frames["val"], frames["test"], groups)
    flattered = read_random_split(subject.paths, subject.model, subject.run)
    known: dict[str, object] = {"temperature": temperature}
    known["random_split"] = flattered.scores if flattered else None
    known |= _unscaled(frames["test"].assign(probability=unscaled), metrics) | _argued(frames, metrics)
    metrics = metrics.model_copy(update=known)
    warnings = warnings_for(metrics, subject.split.warnings, subject.collection.source.kind)
    chips = _worst_chips(subject, metrics, tables["test"], frames["test"], groups["class"])
    pictures = draw(metrics, frames["test"], chips)
    if not subject.collection.is_archive:
        pictures |= errors_on_ground(metrics, tables["test"], frames["test"])
    content = ReportContent(
        metrics,
        subject.training,
        _loss_curve(subject.training),
        pictures,
        tuple(chips),
        warnings,
        subject.collection.licence,
    )
    predictions = pd.concat([frames["val"], frames["test"]], ignore_index=True)
    folder = subject.paths.report_run(subject.model, run)
    with staged(folder) as staging:
        staging.mkdir()
        write_predictions(predictions, staging / "predictions.parquet")
        if AMBIGUOUS in frames:
            write_predictions(frames[AMBIGUOUS], staging / "ambiguous.parquet")
        write_json(staging / "metrics.json", metrics.model_dump(mode="json"))
        for name, png in pictures.items():
            write_bytes(staging / PICTURES[name], png)
        write_text(staging / "report.html", report_page(content))
    return _outcome(subject, folder, metrics, predictions, tuple(pictures), warnings)


def _tables(subject: Subject) -> dict[str, SampleTable]:
    """The samples to predict: val, test, and those on test's ground that no split has."""
    tables: dict[str, SampleTable] = {split: load_samples(subject.paths, split) for split in SPLITS}
    if subject.collection.evaluation.ambiguous:
        found = ambiguous_samples(subject.paths, tables["test"])
        tables |= {} if found is None else {AMBIGUOUS: found}
    return tables


def _unscaled(test: pd.DataFrame, metrics: Metrics) -> dict[str, object]:
    """The calibration error of the model's own probabilities."""
    found = _assess(test, metrics.threshold)
    return {"ece_unscaled": found.ece, "ece_unscaled_ci95": found.ci95["ece"]}


def _assess(frame: pd.DataFrame, threshold: float) -> Assessed:
    label, probability, cell = (frame[name].to_numpy() for name in ("label", "probability", "cell"))
    return assess(label, probability, cell, threshold)


def _argued(frames: Mapping[str, pd.DataFrame], metrics: Metrics) -> dict[str, object]:
    """What becomes of the figures when ambiguous samples count as well."""
    if AMBIGUOUS not in frames:
        return {}
    both = pd.concat([frames["test"], frames[AMBIGUOUS]])
    return {"ambiguous": len(frames[AMBIGUOUS]), "with_ambiguous": _assess(both, metrics.threshold)}


def _scale(frames: Mapping[str, pd.DataFrame], settings: EvaluationSettings) -> float:
    """Scale the probabilities of all frames, in place, by the temperature that helps on val."""
    label, probability, cell = (frames["val"][name].to_numpy() for name in ("label", "probability", "cell"))
    temperature = choose_temperature(label, probability, cell) if settings.temperature else 1.0
    for frame in frames.values():
        frame["probability"] = scaled(frame["probability"].to_numpy(), temperature)
    return temperature


def sample_groups(paths: CollectionPaths, samples: SampleTable, frame: pd.DataFrame) -> dict[str, Names]:
    """Names of the groups that samples are in: by class, tile, month and share of clear ground."""
    month = [None if date is None else date[:7] for date in samples.date]
    return {
        "class": samples.class_name,
        "tile": np.array(samples.tiles, dtype=object)[samples.tile],
        "month": np.array(month, dtype=object),
        "clear": clear_groups(index_column(paths, samples, "clear_fraction").astype(np.float64)),
    }


def measure(
    subject: Subject,
    contract: ModelContract,
    run: str,
    val: pd.DataFrame,
    test: pd.DataFrame,
    groups: Mapping[str, Names],
) -> Metrics:
    """The figures on test at the threshold chosen on val; both frames have the columns of `predictions.parquet`."""
    settings = subject.collection.evaluation
    chosen_on = (val["label"].to_numpy(), val["probability"].to_numpy())
    threshold = choose_threshold(*chosen_on, settings.threshold_rule, settings.wanted_recall)
    label, probability, cell = (test[name].to_numpy() for name in ("label", "probability", "cell"))
    of_group = {
        f"by_{name}": by_group(label, probability, groups[name], threshold) for name in ("tile", "month", "clear")
    }
    return Metrics(
        **_assess(test, threshold).model_dump(),
        **of_group,
        collection=subject.collection.name,
        model=subject.model,
        framework=contract.framework,
        run=subject.run,
        report=run,
        parameters=contract.parameters,
        proof=subject.split.proof,
        threshold=threshold,
        threshold_rule=settings.threshold_rule,
        cells=len(np.unique(cell.astype(str))),
        by_class=by_class(label, probability, groups["class"], threshold),
        without=without_class(label, probability, cell, groups["class"], threshold),
        split_fingerprint=subject.split.fingerprint,
        data_version=fingerprint(cubes=subject.split.cubes),
    )


def draw(metrics: Metrics, test: pd.DataFrame, chips: list[Chip]) -> dict[str, bytes]:
    """The pictures of a report by title; curves need both classes, the contact sheet needs mistakes."""
    label, probability = test["label"].to_numpy(), test["probability"].to_numpy()
    found = {}
    if metrics.roc_auc is not None and metrics.pr_auc is not None:
        line = [Curve("", label, probability, metrics.threshold, f"area {metrics.roc_auc:.3f}")]
        found["ROC curve"] = roc_png(line)
        line = [Curve("", label, probability, metrics.threshold, f"average precision {metrics.pr_auc:.3f}")]
        found["Precision and recall"] = precision_recall_png(line)
    found["Confusion matrix"] = confusion_png(metrics)
    found["Reliability"] = reliability_png(label, probability)
    if chips:
        found["Worst mistakes"] = contact_sheet(chips)
    return found


def _loss_curve(training: Outcome) -> bytes | None:
    """The picture that the training left behind, if it did."""
    found = [path for path in training.pictures.values() if path.exists()]
    return found[0].read_bytes() if found else None


def errors_on_ground(metrics: Metrics, samples: SampleTable, test: pd.DataFrame) -> dict[str, bytes]:
    """The map of errors by its title."""
    label, probability = test["label"].to_numpy(), test["probability"].to_numpy()
    return {"Errors on the ground": error_map_png(samples, label, probability, metrics.threshold)}


def _worst_chips(
    subject: Subject, metrics: Metrics, samples: SampleTable, test: pd.DataFrame, names: Names
) -> list[Chip]:
    label, probability = test["label"].to_numpy(), test["probability"].to_numpy()
    worst = worst_mistakes(label, probability, metrics.threshold, MISTAKES)
    pictures = read_chips(samples, subject.cubes, worst)
    return [
        Chip(true, _name(test, index), int(label[index]), float(probability[index]), names[index], false)
        for (true, false), index in zip(pictures, worst, strict=True)
    ]


def _name(test: pd.DataFrame, index: int) -> str:
    date = test["date"].iloc[index]
    return str(test["tile_id"].iloc[index]) + ("" if pd.isna(date) else f" {date}")


def _outcome(
    subject: Subject,
    folder: Path,
    metrics: Metrics,
    predictions: pd.DataFrame,
    drawn: tuple[str, ...],
    warnings: tuple[str, ...],
) -> Outcome:
    auc = "undefined" if metrics.roc_auc is None else f"{metrics.roc_auc:.3f}"
    keys = ("model", "run", "n", "positives", "cells", "threshold", "proof", "parameters", *METRICS)
    return Outcome(
        path=folder / "report.html",
        fingerprint=subject.fingerprint,
        data_version=fingerprint(metrics=metrics, predictions=_digest(predictions)),
        summary=f"ROC AUC {auc} on {metrics.n} test samples of {metrics.cells} ground cells",
        metadata={**{key: getattr(metrics, key) for key in keys}, "metrics": str(folder / "metrics.json")},
        tables={"figures": figure_table(metrics), "by class": class_table(metrics.by_class)},
        pictures={name: folder / PICTURES[name] for name in drawn},
        warnings=warnings,
        outputs=tuple(folder / name for name in ("metrics.json", "predictions.parquet", "report.html")),
    )


def figure_table(metrics: Metrics) -> Table:
    """Every figure with its interval."""
    bounds = {name: metrics.ci95.get(name) or (None, None) for name in METRICS}
    rows = ({"figure": n, "value": metrics.value(n), "low": bounds[n][0], "high": bounds[n][1]} for n in METRICS)
    return Table(rows=tuple(rows))


def class_table(classes: dict[str, ClassScores]) -> Table:
    """Figures per class."""
    return Table(rows=tuple({"class": name, **found.model_dump()} for name, found in classes.items()))


def _digest(predictions: pd.DataFrame) -> str:
    """SHA-256 of the predictions' content, whatever file they are stored in."""
    return hashlib.sha256(predictions.to_csv(index=False).encode()).hexdigest()
