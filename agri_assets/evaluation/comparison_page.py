"""The page that shows all models of a collection side by side, and who is champion."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from agri_assets.evaluation import page
from agri_assets.evaluation.champion import Decision
from agri_assets.evaluation.metrics import MetricName
from agri_assets.evaluation.paired import Pair
from agri_assets.evaluation.records import Metrics
from agri_assets.evaluation.report_page import NAMES, PROOFS
from agri_assets.store.fingerprint import run_name

CAPTIONS: Mapping[str, tuple[str, MetricName, str]] = {
    "roc": ("ROC curves", "roc_auc", "The dot on each curve is the model at its own threshold, chosen on val."),
    "precision_recall": (
        "Precision and recall",
        "pr_auc",
        "The dotted line is the share of agricultural samples in test.",
    ),
}


class Training(BaseModel):
    """What a training took; None where it was not recorded.

    Attributes:
        train_seconds: Wall time of all epochs.
        samples_per_s: Train samples per second.
        peak_memory_mb: Most memory of all its processes.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    train_seconds: float | None = None
    samples_per_s: float | None = None
    peak_memory_mb: float | None = None


class Comparison(BaseModel):
    """`comparison.json`: every compared model's metrics, the best first, and the decision.

    Attributes:
        collection: Name of the collection.
        metric: What decides.
        models: Their figures, the best first.
        pairs: The best model against each other one.
        trainings: What each training took, by model.
        references: Published figures, by name.
        decision: Who is champion, and why.
        warnings: What must be known before reading figures.
    """

    model_config = ConfigDict(frozen=True)

    collection: str
    metric: MetricName
    models: tuple[Metrics, ...]
    pairs: tuple[Pair, ...] = ()
    trainings: dict[str, Training]
    references: dict[str, dict[MetricName, float]]
    decision: Decision
    warnings: tuple[str, ...]


def comparison_page(comparison: Comparison, pictures: Mapping[str, bytes]) -> str:
    """The page as one self-contained HTML document; `pictures` are PNG by file stem."""
    first = comparison.models[0]
    lead = f"{len(comparison.models)} models on the same {first.n:,} test samples{page.in_cells(first.n, first.cells)}."
    title = f"Models of {comparison.collection}"
    head = page.heading(title, lead, PROOFS[first.proof], first.proof == "proved", comparison.warnings)
    sections = (
        _champion(comparison),
        _table(comparison),
        _pairs(comparison),
        _pictures(comparison, pictures),
        _trainings(comparison),
    )
    return page.page(title, head, sections)


def _champion(comparison: Comparison) -> str:
    champion = comparison.decision.champion
    if champion is None:
        return page.section("Champion", page.facts({"champion": "none"}), note=comparison.decision.reason)
    values: dict[str, page.Cell] = {
        "champion": champion.model,
        "training run": champion.run,
        NAMES[comparison.metric]: champion.value,
        "threshold": champion.threshold,
        "split": run_name(champion.split_fingerprint),
        "since": champion.decided[:16].replace("T", " "),
    }
    return page.section("Champion", page.facts(values), note=comparison.decision.reason)


def _table(comparison: Comparison) -> str:
    models, published = comparison.models, comparison.references
    columns = [f"{one.model}\n{one.framework}, {one.parameters:,} parameters" for one in models]
    columns += [f"{name}\npublished, other data" for name in published]
    rows: list[tuple[page.Cell, ...]] = [
        (name, *(one.stacked(key) for one in models), *(figures.get(key) for figures in published.values()))
        for key, name in NAMES.items()
    ]
    champion = comparison.decision.champion
    best = next((i for i, one in enumerate(models, 1) if champion and one.run == champion.run), None)
    note = (
        f"On test, each model at its own threshold chosen on val; the best by {NAMES[comparison.metric]} first, the "
        "champion in bold. 95 % intervals in brackets; models whose intervals overlap may not differ."
    )
    return page.section("Figures", page.table(("figure", *columns), rows, best), note=note)


def _pairs(comparison: Comparison) -> str:
    """How sure it is that the best model is better."""
    rows: list[tuple[page.Cell, ...]] = []
    for pair in comparison.pairs:
        span = f"{pair.ci95[0]:+.4f} to {pair.ci95[1]:+.4f}" if pair.ci95 else None
        verdict = "yes" if pair.sure else "not shown"
        rows.append(
            (pair.other, f"{pair.difference:+.4f}", span, verdict, pair.only_better, pair.only_other, pair.p_value)
        )
    best = comparison.models[0].model
    note = (
        f"{best} against the others on the very same samples. The interval resamples ground cells for both at once. "
        "McNemar's exact test looks at the samples that only one of the two calls rightly, as if they were independent."
    )
    columns = (f"{best} against", f"difference of {NAMES[comparison.metric]}", "95 % interval", "better for sure")
    more = (f"only {best} right", "only the other right", "McNemar p")
    return page.section("Is the best one better?", page.table((*columns, *more), rows), note=note)


def _trainings(comparison: Comparison) -> str:
    """What each model costs."""
    rows: list[tuple[page.Cell, ...]] = []
    for one in comparison.models:
        took = comparison.trainings[one.model]
        rows.append((one.model, one.parameters, took.train_seconds, took.samples_per_s, took.peak_memory_mb))
    columns = ("model", "parameters", "training, s", "samples/s", "peak memory, MB")
    note = "As recorded by each training run, on the machine that it ran on."
    return page.section("What they cost", page.table(columns, rows), note=note)


def _pictures(comparison: Comparison, pictures: Mapping[str, bytes]) -> str:
    shown = []
    for name, png in pictures.items():
        title, key, caption = CAPTIONS[name]
        figures = ", ".join(f"{one.model} {page.shown(one.value(key))}" for one in comparison.models)
        shown.append(page.picture(png, f"{title}. {NAMES[key]}: {figures}.", caption))
    return page.section("Curves", page.pictures(shown) if shown else "")
