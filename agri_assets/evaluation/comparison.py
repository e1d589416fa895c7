"""All models of a collection on the same test samples, and the champion among them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from agri_assets.config import Collection
from agri_assets.errors import EvaluationError
from agri_assets.evaluation.champion import Champion, Decision, decide, read_champion
from agri_assets.evaluation.comparison_page import Comparison, Training, comparison_page
from agri_assets.evaluation.curves import Curve, precision_recall_png, roc_png
from agri_assets.evaluation.metrics import MetricName
from agri_assets.evaluation.paired import Pair, difference_interval, mcnemar
from agri_assets.evaluation.records import Metrics, command, read_current, read_metrics, warnings_for
from agri_assets.evaluation.settings import EvaluationSettings
from agri_assets.objects import file_of
from agri_assets.splits.summary import SplitSummary, read_summary
from agri_assets.store.commit import staged, write_bytes, write_json, write_text
from agri_assets.store.fingerprint import fingerprint, run_name
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, Scalar, Table, read_outcome, run_stage

CODE_VERSION = "3"


def compare_models(collection: Collection, paths: CollectionPaths) -> Outcome:
    """Compare the live reports of all models, and move the champion pointer if its rule passes.

    Writes `comparison/` (comparison.json, comparison.html, pictures) and `champion.json`.

    Raises:
        EvaluationError: There is no report, or one was made on another split than the present one.
        SplitError: There is no split.
    """
    split = read_summary(paths)
    reports = _reports(collection, paths, split)
    inputs = fingerprint(
        stage="model_comparison",
        code=CODE_VERSION,
        reports=reports,
        settings=collection.evaluation,
        models=sorted(collection.models),
        runs=_live_runs(collection, paths),
    )
    return run_stage(
        paths.receipt("model_comparison"),
        inputs,
        lambda: _make(collection, paths, split, reports, inputs),
        f"{collection.name}/model_comparison",
    )


def _reports(collection: Collection, paths: CollectionPaths, split: SplitSummary) -> tuple[Metrics, ...]:
    """The live report of each model that has one, all on the present split."""
    found = {model: read_metrics(paths, model) for model in collection.models}
    present = tuple(metrics for metrics in found.values() if metrics is not None)
    if not present:
        first = next(iter(collection.models), "MODEL")
        raise EvaluationError(
            f"{paths.folder / 'reports'}: no report to compare; run `{command(collection.name, f'{first}_report')}`"
        )
    for metrics in present:
        if metrics.split_fingerprint != split.fingerprint:
            raise EvaluationError(
                f"the report of {metrics.model} is on split {run_name(metrics.split_fingerprint)}, the present one is "
                f"{run_name(split.fingerprint)}; run `{command(collection.name, metrics.model)}+`"
            )
    return present


def _live_runs(collection: Collection, paths: CollectionPaths) -> dict[str, str | None]:
    """The live training run of each model."""
    live = {model: read_current(paths.model(model) / "current.json") for model in collection.models}
    return {model: current.run if current else None for model, current in live.items()}


def _make(
    collection: Collection, paths: CollectionPaths, split: SplitSummary, reports: tuple[Metrics, ...], inputs: str
) -> Outcome:
    settings = collection.evaluation
    now = datetime.now(UTC).isoformat(timespec="seconds")
    decision = decide(reports, _living_champion(paths), settings, now)
    comparison = Comparison(
        collection=collection.name,
        metric=settings.champion_metric,
        models=tuple(sorted(reports, key=lambda one: one.value(settings.champion_metric) or 0.0, reverse=True)),
        decision=decision,
        warnings=_warnings(collection, paths, split, reports, decision),
        trainings={one.model: _training(paths, one) for one in reports},
        references={name: dict(figures) for name, figures in settings.references.items()},
    )
    tests = {one.model: _test_frame(paths, one) for one in comparison.models}
    pairs = _pairs(comparison.models, tests, settings)
    comparison = comparison.model_copy(update={"pairs": pairs})
    pictures = _draw(comparison.models, tests)
    with staged(paths.comparison) as staging:
        staging.mkdir()
        for name, png in pictures.items():
            write_bytes(staging / f"{name}.png", png)
        write_json(staging / "comparison.json", comparison.model_dump(mode="json"))
        write_text(staging / "comparison.html", comparison_page(comparison, pictures))
    if decision.champion is not None:
        write_json(paths.champion, decision.champion.model_dump(mode="json"))
    return _outcome(paths, comparison, tuple(pictures), inputs)


def _living_champion(paths: CollectionPaths) -> Champion | None:
    """The present champion if its weights are still there."""
    champion = read_champion(paths)
    if champion is None or not (paths.model_run(champion.model, champion.run) / "complete.json").exists():
        return None
    return champion


def _warnings(
    collection: Collection,
    paths: CollectionPaths,
    split: SplitSummary,
    reports: tuple[Metrics, ...],
    decision: Decision,
) -> tuple[str, ...]:
    told = list(warnings_for(min(reports, key=lambda one: one.cells), split.warnings, collection.source.kind))
    present = {one.model: one for one in reports}
    live = _live_runs(collection, paths)
    for model in collection.models:
        if model not in present:
            report = command(collection.name, f"{model}_report")
            told.append(f"{model} has no report and is not compared; run `{report}`")
        elif live[model] not in (None, present[model].run):
            report = command(collection.name, f"{model}_report")
            told.append(
                f"the report of {model} is of run {present[model].run}, not the live {live[model]}; run `{report}`"
            )
    return (*told, decision.warning) if decision.warning else tuple(told)


def _test_frame(paths: CollectionPaths, metrics: Metrics) -> pd.DataFrame:
    """The stored predictions on test that a report's figures come from."""
    frame = pd.read_parquet(file_of(paths.report_run(metrics.model, metrics.report) / "predictions.parquet"))
    return frame[frame["split"] == "test"]


def _training(paths: CollectionPaths, metrics: Metrics) -> Training:
    """What the training of a reported run took, as it recorded."""
    recorded = read_outcome(paths.model_run(metrics.model, metrics.run) / "complete.json").metadata
    return Training.model_validate(recorded)


def _pairs(
    models: tuple[Metrics, ...], tests: Mapping[str, pd.DataFrame], settings: EvaluationSettings
) -> tuple[Pair, ...]:
    """The best model against each other one."""
    best = models[0]
    return tuple(
        _pair(best, one, tests[best.model], tests[one.model], settings)
        for one in models[1:]
        if best.value(settings.champion_metric) is not None and one.value(settings.champion_metric) is not None
    )


def _pair(
    best: Metrics, other: Metrics, first: pd.DataFrame, second: pd.DataFrame, settings: EvaluationSettings
) -> Pair:
    label, cell, metric = first["label"].to_numpy(), first["cell"].to_numpy(), settings.champion_metric
    probabilities = first["probability"].to_numpy(), second["probability"].to_numpy()
    thresholds = best.threshold, other.threshold
    right = [(one >= at) == (label == 1) for one, at in zip(probabilities, thresholds, strict=True)]
    only_better, only_other, p_value = mcnemar(right[0], right[1])
    return Pair(
        better=best.model,
        other=other.model,
        metric=metric,
        difference=(best.value(metric) or 0.0) - (other.value(metric) or 0.0),
        ci95=difference_interval(label, probabilities, thresholds, cell, metric, settings.bootstrap),
        only_better=only_better,
        only_other=only_other,
        p_value=p_value,
    )


def _draw(models: tuple[Metrics, ...], tests: Mapping[str, pd.DataFrame]) -> dict[str, bytes]:
    """Overlaid curves by file stem; none where test lacks a class."""
    if any(one.roc_auc is None or one.pr_auc is None for one in models):
        return {}

    def curves(metric: MetricName) -> list[Curve]:
        return [
            Curve(
                one.model,
                tests[one.model]["label"].to_numpy(),
                tests[one.model]["probability"].to_numpy(),
                one.threshold,
                one.text(metric),
            )
            for one in models
        ]

    return {"roc": roc_png(curves("roc_auc")), "precision_recall": precision_recall_png(curves("pr_auc"))}


def _outcome(paths: CollectionPaths, comparison: Comparison, drawn: tuple[str, ...], inputs: str) -> Outcome:
    champion = comparison.decision.champion
    known: dict[str, Scalar] = {"metric": comparison.metric, "reason": comparison.decision.reason}
    if champion is not None:
        known |= {"champion": champion.model, "run": champion.run, "value": champion.value}
        known |= {"threshold": champion.threshold, "champion_file": str(paths.champion)}
    titles = {"roc": "ROC curves", "precision_recall": "Precision and recall"}
    kept = (paths.champion,) if champion else ()
    pointed = champion.model_dump(exclude={"decided"}) if champion else None
    page: Path = paths.comparison / "comparison.html"
    return Outcome(
        path=page,
        fingerprint=inputs,
        data_version=fingerprint(champion=pointed, models=list(comparison.models), pairs=list(comparison.pairs)),
        summary=comparison.decision.reason,
        metadata={**known, "moved": comparison.decision.moved, "kept": comparison.decision.warning},
        tables={
            "models": Table(rows=tuple(_row(one, comparison.trainings[one.model]) for one in comparison.models)),
            "pairs": Table(rows=tuple(_pair_row(pair) for pair in comparison.pairs)),
        },
        pictures={titles[name]: paths.comparison / f"{name}.png" for name in drawn},
        warnings=comparison.warnings,
        outputs=(page, paths.comparison / "comparison.json", *kept),
    )


def _row(metrics: Metrics, training: Training) -> dict[str, Scalar]:
    figures: tuple[MetricName, ...] = ("roc_auc", "pr_auc", "f1", "accuracy", "precision", "recall", "ece")
    row: dict[str, Scalar] = {"model": metrics.model, "parameters": metrics.parameters}
    return {**row, **{name: metrics.text(name) for name in figures}, **training.model_dump()}


def _pair_row(pair: Pair) -> dict[str, Scalar]:
    low, high = pair.ci95 or (None, None)
    return {**pair.model_dump(exclude={"ci95"}), "low": low, "high": high, "sure": pair.sure}
