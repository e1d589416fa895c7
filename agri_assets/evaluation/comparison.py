"""All models of a collection on the same test samples, and the champion among them."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from agri_assets.config import Collection
from agri_assets.errors import EvaluationError
from agri_assets.evaluation.champion import Champion, Decision, decide, read_champion
from agri_assets.evaluation.comparison_page import Comparison, comparison_page
from agri_assets.evaluation.curves import Curve, precision_recall_png, roc_png
from agri_assets.evaluation.metrics import MetricName
from agri_assets.evaluation.records import Metrics, command, read_current, read_metrics, warnings_for
from agri_assets.objects import file_of
from agri_assets.splits.summary import SplitSummary, read_summary
from agri_assets.store.commit import staged, write_bytes, write_json, write_text
from agri_assets.store.fingerprint import fingerprint, run_name
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, Scalar, Table, run_stage

CODE_VERSION = "1"


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
    )
    pictures = _draw(paths, comparison.models)
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


def _draw(paths: CollectionPaths, models: tuple[Metrics, ...]) -> dict[str, bytes]:
    """Overlaid curves by file stem; none where test lacks a class."""
    if any(one.roc_auc is None or one.pr_auc is None for one in models):
        return {}
    files = [paths.report_run(one.model, one.report) / "predictions.parquet" for one in models]
    frames = [pd.read_parquet(file_of(file)) for file in files]
    tests = [frame[frame["split"] == "test"] for frame in frames]

    def curves(metric: MetricName) -> list[Curve]:
        return [
            Curve(
                one.model,
                test["label"].to_numpy(),
                test["probability"].to_numpy(),
                one.threshold,
                one.text(metric),
            )
            for one, test in zip(models, tests, strict=True)
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
        data_version=fingerprint(champion=pointed, models=list(comparison.models)),
        summary=comparison.decision.reason,
        metadata={**known, "moved": comparison.decision.moved},
        tables={"models": Table(rows=tuple(_row(one) for one in comparison.models))},
        pictures={titles[name]: paths.comparison / f"{name}.png" for name in drawn},
        warnings=comparison.warnings,
        outputs=(page, paths.comparison / "comparison.json", *kept),
    )


def _row(metrics: Metrics) -> dict[str, Scalar]:
    figures: tuple[MetricName, ...] = ("roc_auc", "pr_auc", "f1", "accuracy", "precision", "recall", "ece")
    row: dict[str, Scalar] = {"model": metrics.model, "parameters": metrics.parameters}
    return {**row, **{name: metrics.text(name) for name in figures}}
