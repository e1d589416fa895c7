"""The page that shows all models of a collection side by side, and who is champion."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from agri_assets.evaluation import page
from agri_assets.evaluation.champion import Decision
from agri_assets.evaluation.metrics import MetricName
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


class Comparison(BaseModel):
    """`comparison.json`: every compared model's metrics, the best first, and the decision."""

    model_config = ConfigDict(frozen=True)

    collection: str
    metric: MetricName
    models: tuple[Metrics, ...]
    decision: Decision
    warnings: tuple[str, ...]


def comparison_page(comparison: Comparison, pictures: Mapping[str, bytes]) -> str:
    """The page as one self-contained HTML document; `pictures` are PNG by file stem."""
    first = comparison.models[0]
    lead = f"{len(comparison.models)} models on the same {first.n:,} test samples{page.in_cells(first.n, first.cells)}."
    title = f"Models of {comparison.collection}"
    head = page.heading(title, lead, PROOFS[first.proof], first.proof == "proved", comparison.warnings)
    return page.page(title, head, (_champion(comparison), _table(comparison), _pictures(comparison, pictures)))


def _champion(comparison: Comparison) -> str:
    champion = comparison.decision.champion
    if champion is None:
        return page.section("Champion", page.facts({"champion": "none"}), note=comparison.decision.reason)
    values: dict[str, page.Cell] = {
        "champion": champion.model,
        "training run": champion.run,
        champion.metric: champion.value,
        "threshold": champion.threshold,
        "split": run_name(champion.split_fingerprint),
        "since": champion.decided,
    }
    return page.section("Champion", page.facts(values), note=comparison.decision.reason)


def _table(comparison: Comparison) -> str:
    rows: list[tuple[page.Cell, ...]] = [
        (
            f"{one.model}\n{one.framework}, {one.parameters:,} parameters",
            *(one.text(key).replace(" [", "\n[") for key in NAMES),
        )
        for one in comparison.models
    ]
    champion = comparison.decision.champion
    best = next((i for i, one in enumerate(comparison.models) if champion and one.run == champion.run), None)
    note = (
        f"On test, each model at its own threshold chosen on val; the best by {NAMES[comparison.metric]} first, the "
        "champion in bold. 95 % intervals in brackets; models whose intervals overlap may not differ."
    )
    return page.section("Figures", page.table(("model", *NAMES.values()), rows, best), note=note)


def _pictures(comparison: Comparison, pictures: Mapping[str, bytes]) -> str:
    shown = []
    for name, png in pictures.items():
        title, key, caption = CAPTIONS[name]
        figures = ", ".join(f"{one.model} {page.shown(one.value(key))}" for one in comparison.models)
        shown.append(page.picture(png, f"{title}. {NAMES[key]}: {figures}.", caption))
    return page.section("Curves", page.pictures(shown) if shown else "")
