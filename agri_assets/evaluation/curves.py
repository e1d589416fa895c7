"""The four pictures of a report: ROC, precision and recall, confusion matrix, reliability."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes

from agri_assets.evaluation.drawing import (
    BLUE,
    DASHES,
    INK,
    LINE,
    MUTED,
    SERIES,
    VERMILION,
    canvas,
    figure_png,
    unit_square,
)
from agri_assets.evaluation.metrics import ECE_BINS, Floats, Labels, Scores, calibration_bins

CLASSES = ("not agricultural", "agricultural")


@dataclass(frozen=True)
class Curve:
    """One line of a ROC or precision-recall picture.

    Attributes:
        name: Whose line it is; empty for a line that stands alone.
        label: (n,) of 0 and 1, both present.
        probability: (n,) in [0, 1].
        threshold: Marked by a dot.
        caption: Figures to stand behind the name in the legend.
    """

    name: str
    label: Labels
    probability: Floats
    threshold: float
    caption: str


def roc_png(curves: Sequence[Curve]) -> bytes:
    """ROC curves with the operating point at each threshold."""
    # takes a second to import, and most often what it is needed for is done already
    from sklearn.metrics import roc_curve

    figure, axes = canvas()
    axes.plot((0, 1), (0, 1), color=MUTED, linewidth=0.9, linestyle=":", label="chance")
    for index, curve in enumerate(curves):
        false, true, _ = roc_curve(curve.label, curve.probability)
        called = curve.probability >= curve.threshold
        point = called[curve.label == 0].mean(), called[curve.label == 1].mean()
        _draw(axes, index, curve, false, true, point)
    unit_square(axes, "false-positive rate", "true-positive rate (recall)")
    _legend(axes, "lower right")
    return figure_png(figure)


def precision_recall_png(curves: Sequence[Curve]) -> bytes:
    """Precision-recall curves with the operating point at each threshold, over the share of positives."""
    from sklearn.metrics import precision_recall_curve

    figure, axes = canvas()
    base = float(np.mean(curves[0].label))
    axes.axhline(base, color=MUTED, linewidth=0.9, linestyle=":", label=f"chance ({base:.2f})")
    for index, curve in enumerate(curves):
        precision, recall, _ = precision_recall_curve(curve.label, curve.probability)
        called = curve.probability >= curve.threshold
        point = called[curve.label == 1].mean(), curve.label[called].mean() if called.any() else np.nan
        _draw(axes, index, curve, recall, precision, point)
    unit_square(axes, "recall", "precision")
    _legend(axes, "lower left")
    return figure_png(figure)


def confusion_png(scores: Scores) -> bytes:
    """The confusion matrix: counts, and shares of each true class by colour."""
    figure, axes = canvas(5.2, 4.2)
    counts = np.array(scores.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, col), share in np.ndenumerate(shares):
        color = "white" if share > 0.55 else INK
        text: dict[str, Any] = {"ha": "center", "va": "center", "color": color}
        axes.text(col, row - 0.07, f"{counts[row, col]:,}", fontsize=17, fontweight="bold", **text)
        axes.text(col, row + 0.16, f"{share:.1%} of true class", fontsize=9, **text)
    axes.set(xticks=(0, 1), yticks=(0, 1), xlabel="called", ylabel="true", xticklabels=CLASSES)
    axes.set_yticklabels(CLASSES, rotation=90, va="center")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return figure_png(figure)


def reliability_png(label: Labels, probability: Floats) -> bytes:
    """How often samples of a given probability are agricultural, with the number of samples in each bin below."""
    figure, axes = canvas()
    bins = calibration_bins(probability)
    count = np.bincount(bins, minlength=ECE_BINS)
    filled = count > 0
    predicted = np.bincount(bins, weights=probability, minlength=ECE_BINS)[filled] / count[filled]
    observed = np.bincount(bins, weights=label, minlength=ECE_BINS)[filled] / count[filled]
    axes.plot((0, 1), (0, 1), color=MUTED, linewidth=0.9, linestyle=":", label="perfectly calibrated")
    left = np.arange(ECE_BINS) / ECE_BINS
    heights = 0.22 * count / count.max()
    axes.bar(left, heights, 1 / ECE_BINS, align="edge", color=LINE, edgecolor="white", label="samples (relative)")
    axes.plot(predicted, observed, color=BLUE, linewidth=1.6, marker="o", markersize=5, label="observed")
    unit_square(axes, "predicted probability of agricultural", "observed share of agricultural")
    _legend(axes, "upper left")
    return figure_png(figure)


def _draw(axes: Axes, index: int, curve: Curve, x: Floats, y: Floats, point: tuple[float, float]) -> None:
    color = SERIES[index % len(SERIES)]
    dashes = DASHES[index % len(DASHES)]
    axes.plot(x, y, color=color, linewidth=1.9, linestyle=dashes, label=f"{curve.name} {curve.caption}".strip())
    # A curve without a name stands alone: its point may differ in colour and say what it is.
    marker, label = (color, "_") if curve.name else (VERMILION, f"at threshold {curve.threshold:.3f}")
    axes.plot(*point, "o", color=marker, markersize=7, markeredgecolor="white", zorder=5, label=label)


def _legend(axes: Axes, place: Literal["lower right", "lower left", "upper left"]) -> None:
    legend = axes.legend(loc=place, fontsize=9, frameon=True, facecolor="white", edgecolor=LINE, framealpha=0.9)
    for text in legend.get_texts():
        text.set_color(INK)
