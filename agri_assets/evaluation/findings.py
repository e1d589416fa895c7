"""What the checks of reports and of their comparison find: by what their stages recorded."""

from agri_assets.config import Collection
from agri_assets.store.finding import Finding
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome


def report_findings(collection: Collection, _: CollectionPaths, outcome: Outcome) -> tuple[Finding, ...]:
    """`calibration` of a model on test."""
    most, error = collection.limits.calibration, outcome.metadata["ece"]
    if error is None:
        return (Finding.unknown("calibration", "test is empty", "add samples to test"),)
    finding = Finding.judged(
        "calibration",
        float(error) <= most,
        f"probabilities are off by {float(error):.3f} on average (expected calibration error)",
        f"more than limits.calibration ({most:g}): do not read them as probabilities; set evaluation.temperature, "
        "train longer, or give val more ground cells",
        ece=float(error),
    )
    return (finding,)


def comparison_findings(_: Collection, __: CollectionPaths, outcome: Outcome) -> tuple[Finding, ...]:
    """`champion_kept`: whether a model that was compared was kept from becoming champion."""
    if "kept" not in outcome.metadata:
        again = f"delete {outcome.path.parent} and materialise model_comparison again"
        return (Finding.unknown("champion_kept", "an older version compared these models", again),)
    kept = outcome.metadata["kept"]
    finding = Finding.judged(
        "champion_kept",
        kept is None,
        str(outcome.metadata["reason"] if kept is None else kept),
        "maps and the bundle are still made with the champion of before, if there is one; better the model, or change "
        "evaluation.champion_margin, champion_minimum or champion_ece if the rule is not what you want",
        champion=outcome.metadata.get("champion"),
        moved=outcome.metadata["moved"],
    )
    return (finding,)
