"""The loss curve of a training as a small picture."""

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from agri_assets.store.commit import staged
from agri_assets.training.history import History

CURVE_FILE = "loss_curve.png"


def draw_curve(history: History, title: str, path: Path) -> None:
    """Losses on the left axis, val ROC AUC on the right, the best epoch marked; written atomically as PNG."""
    epochs = [record.epoch for record in history.epochs]
    figure = Figure(figsize=(6.4, 3.6), dpi=100, layout="constrained")
    losses = figure.subplots()
    losses.plot(epochs, [record.loss for record in history.epochs], "o-", color="#1f5f8b", label="train loss")
    losses.plot(epochs, [record.val_loss for record in history.epochs], "s-", color="#c8553d", label="val loss")
    losses.set(xlabel="epoch", ylabel="loss", title=title)
    losses.xaxis.set_major_locator(MaxNLocator(integer=True))
    scores = losses.twinx()
    scores.plot(epochs, [record.val_auc for record in history.epochs], "^--", color="#3a7d44", label="val ROC AUC")
    scores.axvline(history.best.epoch, color="#3a7d44", linewidth=0.8, alpha=0.5)
    scores.set(ylabel="ROC AUC")
    lines = [*losses.get_lines(), scores.get_lines()[0]]
    losses.legend(handles=lines, loc="center right", fontsize="small")
    with staged(path) as staging:
        figure.savefig(staging, format="png")
