"""Where on the ground a model errs: a map of test's positions for the tiles that hold most of them."""

import math

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from agri_assets.evaluation.drawing import DPI, INK, LINE, VERMILION, figure_png
from agri_assets.evaluation.metrics import Floats, Labels
from agri_assets.loading.samples import SampleTable

TILES = 6
"""Tiles in one picture; more would be too small to read."""

ACROSS = 3

RIGHT, SPURIOUS, MISSED = 1, 2, 3
"""Kinds of positions; the worst of several dates counts. 0 is no position of test."""

COLOURS = ("#f1f3f5", "#a9bccf", VERMILION, "#5b2a86")
NAMES = ("not test", "right", "called agricultural wrongly", "field missed")

Grid = npt.NDArray[np.uint8]


def error_map_png(samples: SampleTable, label: Labels, probability: Floats, threshold: float) -> bytes:
    """The map as PNG, north up.

    Args:
        samples: Of test, on known ground.
        label: (n,) of 0 and 1.
        probability: (n,) in [0, 1].
        threshold: From which on a sample is called agricultural.
    """
    counts = np.bincount(samples.tile, minlength=len(samples.tiles))
    shown = np.argsort(-counts, kind="stable")[: min(TILES, len(counts))]
    columns = min(ACROSS, len(shown))
    figure = Figure(figsize=(6.6, 0.5 + 2.3 * math.ceil(len(shown) / columns) * ACROSS / columns), dpi=DPI)
    figure.set(facecolor="white", layout_engine="constrained")
    FigureCanvasAgg(figure)
    kind = _kinds(label, probability >= threshold)
    for place, tile in enumerate(shown.tolist(), start=1):
        axes = figure.add_subplot(math.ceil(len(shown) / columns), columns, place)
        mine = samples.tile == tile
        grid = _grid(samples.row[mine], samples.col[mine], kind[mine])
        axes.imshow(grid, cmap=ListedColormap(COLOURS), vmin=-0.5, vmax=3.5, interpolation="nearest")
        axes.set(xticks=(), yticks=())
        axes.spines[:].set_color(LINE)
        wrong = float((kind[mine] != RIGHT).mean())
        axes.set_title(f"{samples.tiles[tile]}: {wrong:.1%} of {int(mine.sum()):,} wrong", fontsize=8.5, color=INK)
    handles = [Patch(facecolor=one, edgecolor=LINE, label=name) for one, name in zip(COLOURS, NAMES, strict=True)]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return figure_png(figure)


def _kinds(label: Labels, called: npt.NDArray[np.bool_]) -> Grid:
    kinds = np.full(len(label), RIGHT, dtype=np.uint8)
    kinds[called & (label == 0)] = SPURIOUS
    kinds[~called & (label == 1)] = MISSED
    return kinds


def _grid(row: npt.NDArray[np.signedinteger], col: npt.NDArray[np.signedinteger], kind: Grid) -> Grid:
    """A tile's positions from the first to the last that test holds, with the worst kind of each."""
    y, x = row.astype(np.intp) - row.min(), col.astype(np.intp) - col.min()
    grid = np.zeros((int(y.max()) + 1, int(x.max()) + 1), dtype=np.uint8)
    np.maximum.at(grid, (y, x), kind)
    return grid
