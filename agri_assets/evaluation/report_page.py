"""The page of one report: what a person reads first is the figures with their intervals, then where the model fails."""

from collections.abc import Mapping
from dataclasses import dataclass

from agri_assets.evaluation import page
from agri_assets.evaluation.chips import Chip
from agri_assets.evaluation.drawing import small_png
from agri_assets.evaluation.intervals import Assessed, Interval
from agri_assets.evaluation.metrics import MetricName
from agri_assets.evaluation.records import ClassScores, Metrics
from agri_assets.store.fingerprint import run_name
from agri_assets.store.receipt import Outcome

NAMES: Mapping[MetricName, str] = {
    "roc_auc": "ROC AUC",
    "pr_auc": "average precision",
    "f1": "F1",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "precision": "precision",
    "recall": "recall",
    "brier": "Brier score",
    "ece": "calibration error",
}
"""Names for people, in the order in which they are shown."""

TRAINING = {
    "epochs": "epochs",
    "best_epoch": "best epoch",
    "val_roc_auc": "val ROC AUC",
    "train_samples": "train samples",
    "val_samples": "val samples",
    "train_seconds": "seconds",
    "samples_per_s": "samples per second",
    "data_wait": "share of time waiting for data",
    "peak_memory_mb": "peak memory, MB",
    "gpu_utilisation": "device utilisation",
    "peak_gpu_memory_mb": "peak device memory, MB",
    "device": "device",
    "precision": "precision",
}
"""What is told of a training, by its key in the metadata."""

PROOFS = {
    "proved": "split proved disjoint on the ground",
    "given": "split given by lists, not proved",
    "none": "split at random, not proved",
}

RULES = {
    "f1": "the highest F1",
    "youden": "the highest recall minus false-positive rate",
    "recall": "the highest precision at the wanted recall",
}

CAPTIONS = {
    "ROC curve": "How many fields are found against how much else is called agricultural, at every threshold.",
    "Precision and recall": "How many of those called agricultural are, against how many fields are found.",
    "Confusion matrix": "Test samples by their true class (rows) and what they were called (columns).",
    "Reliability": "Where the line lies below the diagonal, the model is too sure that land is agricultural.",
    "Errors on the ground": "Positions of the tiles that hold most of test, north up; of several dates, the worst.",
}


@dataclass(frozen=True)
class ReportContent:
    """Everything a report page shows.

    Attributes:
        metrics: The figures.
        training: What the training run recorded.
        loss_curve: Its picture (PNG), where there is one.
        pictures: PNG by title.
        chips: The worst mistakes, the worst first.
        warnings: What must be known before reading figures.
        licence: Of the model and of what the pictures show.
    """

    metrics: Metrics
    training: Outcome
    loss_curve: bytes | None
    pictures: Mapping[str, bytes]
    chips: tuple[Chip, ...]
    warnings: tuple[str, ...]
    licence: str


def report_page(content: ReportContent) -> str:
    """The page as one self-contained HTML document."""
    metrics = content.metrics
    title = f"{metrics.model} on {metrics.collection}"
    where = page.in_cells(metrics.n, metrics.cells)
    lead = f"{metrics.n:,} test samples, {metrics.positives:,} of them agricultural{where}."
    head = page.heading(title, lead, PROOFS[metrics.proof], metrics.proof == "proved", content.warnings)
    body = (
        _figures(metrics),
        _pictures(content),
        _classes(metrics),
        _groups(metrics),
        _without(metrics),
        _mistakes(content.chips),
        _training(content),
        _provenance(metrics, content.licence),
    )
    return page.page(title, head, body)


def _figures(metrics: Metrics) -> str:
    html = page.cards(page.card(name, metrics.value(key), metrics.ci95.get(key)) for key, name in NAMES.items())
    note = (
        f"On test, at threshold {metrics.threshold:.3f}, which gives {RULES[metrics.threshold_rule]} on val. The 95 % "
        f"intervals leave out whole ground cells, or images that have none. Of Brier score and calibration error, "
        f"lower is better. {_temperature(metrics)}"
    )
    return page.section("Figures", html, note=note)


def _temperature(metrics: Metrics) -> str:
    """What scaling did to the probabilities."""
    if metrics.temperature == 1.0:
        return "Probabilities are the model's own: scaling them by a temperature did not help on val."
    return (
        f"Probabilities are scaled by temperature {metrics.temperature:.3f}, found on val; before, the calibration "
        f"error was {_within(metrics.ece_unscaled, metrics.ece_unscaled_ci95)}."
    )


def _within(value: float | None, interval: Interval | None) -> str:
    """A figure with its interval in a sentence."""
    said = page.UNDEFINED if value is None else f"{value:.3f}"
    return f"{said} ({interval[0]:.3f} to {interval[1]:.3f})" if interval else said


def _pictures(content: ReportContent) -> str:
    shown = (
        page.picture(content.pictures[name], f"{name}. {_alt(name, content.metrics)}", caption)
        for name, caption in CAPTIONS.items()
        if name in content.pictures
    )
    return page.section("Curves", page.pictures(shown))


def _alt(name: str, metrics: Metrics) -> str:
    """A picture's content in words."""
    (tn, fp), (fn, tp) = metrics.confusion
    words = {
        "ROC curve": f"Area under the curve {page.shown(metrics.roc_auc)}.",
        "Precision and recall": f"Average precision {page.shown(metrics.pr_auc)}.",
        "Confusion matrix": f"{tn} rightly and {fp} wrongly told of {tn + fp} that are not agricultural; "
        f"{tp} rightly and {fn} wrongly of {fn + tp} that are.",
        "Reliability": f"Expected calibration error {page.shown(metrics.ece)}.",
        "Errors on the ground": f"{fp + fn} of {metrics.n} samples are wrong.",
    }
    return words[name]


def _classes(metrics: Metrics) -> str:
    note = (
        "Classes of the land cover or of the archive, the largest first. The last two columns are shares of the class."
    )
    return page.section("By class", _group_table("class", metrics.by_class), note=note)


def _groups(metrics: Metrics) -> str:
    """Figures by tile, month and clear ground, wherever these differ."""
    groups = {"tile": metrics.by_tile, "month": metrics.by_month, "clear ground": metrics.by_clear}
    tables = [_group_table(name, found) for name, found in groups.items()]
    return page.section("By tile, month and clear ground", *tables, note="Wherever test has several of them.")


def _group_table(name: str, groups: Mapping[str, ClassScores]) -> str:
    columns = (name, "samples", "agricultural", "called agricultural", "accuracy")
    rows = [
        (key, found.n, found.positives, f"{found.called:.1%}", f"{found.accuracy:.1%}") for key, found in groups.items()
    ]
    return page.table(columns, rows)


def _without(metrics: Metrics) -> str:
    """The figures of other test sets: with ambiguous samples, and with each agricultural class left out."""
    others: dict[str, Assessed | None] = {"test": metrics}
    if metrics.ambiguous:
        others[f"{metrics.ambiguous:,} ambiguous samples as well"] = metrics.with_ambiguous
    others |= {f"without {name}": found for name, found in metrics.without.items()}
    if metrics.random_split is not None:
        others["another model, on a random split"] = Assessed(**metrics.random_split.model_dump())
    present = {name: found for name, found in others.items() if found}
    if len(present) == 1:
        return ""
    columns = ("figure", *(f"{name}\n{found.n:,} samples" for name, found in present.items()))
    rows = [(name, *(found.stacked(key) for found in present.values())) for key, name in NAMES.items()]
    note = (
        "How much hangs on what counts as agricultural: the same model and threshold on other samples, with 95 % "
        "intervals in brackets."
    )
    if metrics.ambiguous:
        note += " Ambiguous ground is in no split; here each sample of it is labelled by what most of it is."
    if metrics.random_split is not None:
        note += " The last column is the same recipe on samples dealt at random: what it has above test is flattery."
    return page.section("On other test sets", page.table(columns, rows), note=note)


def _mistakes(chips: tuple[Chip, ...]) -> str:
    shown = (
        page.chip(
            small_png(chip.both),
            f"Picture of {chip.name} in {_colours(chip)}: {chip.title}.",
            chip.title,
            f"p = {chip.probability:.3f} · {chip.name}",
        )
        for chip in chips
    )
    colours = _colours(chips[0]) if chips else ""
    note = f"The wrong test samples of which the model was surest, in {colours}; p is its probability of agricultural."
    return page.section("Worst mistakes", page.chips(shown) if chips else "", note=note)


def _colours(chip: Chip) -> str:
    return "true colour" if chip.infrared is None else "true colour and with near infrared as red"


def _training(content: ReportContent) -> str:
    """What the training was and took, and how it went; all else that it recorded is in the run's own metadata."""
    told = content.training.metadata
    facts = page.facts({name: told[key] for key, name in TRAINING.items() if key in told})
    curve = ""
    if content.loss_curve is not None:
        alt = f"Loss curve. {content.training.summary}."
        curve = page.pictures([page.picture(content.loss_curve, alt, "Loss on train and val, epoch by epoch.")])
    return page.section("Training", facts, curve, note=content.training.summary)


def _provenance(metrics: Metrics, licence: str) -> str:
    values: dict[str, page.Cell] = {
        "collection": metrics.collection,
        "model": metrics.model,
        "framework": metrics.framework,
        "parameters": metrics.parameters,
        "training run": metrics.run,
        "report": metrics.report,
        "split": run_name(metrics.split_fingerprint),
        "proof of the split": metrics.proof,
        "data version": run_name(metrics.data_version),
        "licence": licence,
    }
    note = "Every figure can be recomputed from predictions.parquet beside this page."
    return page.section("Provenance", page.facts(values), note=note)
