"""A small picture of the map: classes over a true-colour view of the very pixels that were mapped."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from agri_assets.evaluation.chips import true_colour
from agri_assets.evaluation.drawing import DPI, INK, LINE, figure_png
from agri_assets.maps.raster import AGRICULTURAL, COLOURS, NODATA, OTHER, Bytes

WIDTH = 512
"""Edge of the picture, in pixels."""

VIEW = 256
"""Edge of the view in it, as nearly as whole pixels per position allow: twice as fine would be four times the bytes."""

OPACITY = 0.5
"""Of the agricultural colour over the view; all else keeps its true colours."""

LEGEND = 0.62
"""Height of title and legend, in inches."""

UNMAPPED = (226, 230, 234)


class Mosaic:
    """A true-colour view put together from mapped positions as they pass by; a few pixels per position."""

    def __init__(self, rows: int, cols: int, tile_size: int) -> None:
        """An empty view of (rows, cols) positions."""
        self.detail = int(np.clip(round(VIEW / max(rows, cols)), 1, tile_size))
        self._edges = np.linspace(0, tile_size, self.detail + 1).astype(int)
        self.view = np.empty((rows, cols, self.detail, self.detail, 3), dtype=np.uint8)
        self.view[:] = UNMAPPED

    def add(
        self,
        pixels: npt.NDArray[np.uint16],
        row: npt.NDArray[np.integer],
        col: npt.NDArray[np.integer],
        bands: Sequence[str],
        units: str,
    ) -> None:
        """Put positions (b, bands, height, width) in their places, shrunk by averaging."""
        picture = true_colour(pixels, bands, units).astype(np.float32)
        lengths = np.diff(self._edges)
        down = np.add.reduceat(picture, self._edges[:-1], axis=1) / lengths[:, None, None]
        self.view[row, col] = (np.add.reduceat(down, self._edges[:-1], axis=2) / lengths[:, None]).round()

    def image(self) -> Bytes:
        """The view (rows * detail, cols * detail, 3)."""
        rows, cols = self.view.shape[:2]
        flat = self.view.transpose(0, 2, 1, 3, 4)
        return np.ascontiguousarray(flat).reshape(rows * self.detail, cols * self.detail, 3)


def quicklook_png(mosaic: Mosaic, classes: Bytes, title: str) -> bytes:
    """The classes (rows, cols) over the view, with a legend of shares, as PNG."""
    spread = classes.repeat(mosaic.detail, axis=0).repeat(mosaic.detail, axis=1)
    image = mosaic.image().astype(np.float32)
    mine, amber = spread == AGRICULTURAL, np.array(COLOURS[AGRICULTURAL][:3], dtype=np.float32)
    image[mine] = (1 - OPACITY) * image[mine] + OPACITY * amber
    scale = WIDTH / max(image.shape) / DPI
    height, width = image.shape[0] * scale, image.shape[1] * scale
    figure = Figure(figsize=(width, height + LEGEND), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    legend = LEGEND / (height + LEGEND)
    axes = figure.add_axes((0, legend, 1, 1 - legend))
    axes.imshow(image.round().astype(np.uint8), interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    figure.text(0.02, legend * 0.68, title, fontsize=8.5, color=INK, va="center", fontweight="bold")
    figure.legend(
        handles=_handles(image, spread),
        loc="lower left",
        bbox_to_anchor=(0.005, 0),
        ncols=3,
        fontsize=7.5,
        frameon=False,
    )
    return figure_png(figure)


def _handles(image: npt.NDArray[np.float32], spread: Bytes) -> list[Patch]:
    """Legend entries: each class's mean colour in the picture, and its share of positions."""
    names = {AGRICULTURAL: "agricultural", OTHER: "not agricultural", NODATA: "not mapped"}
    handles = []
    for value, name in names.items():
        mine = spread == value
        red, green, blue = (image[mine].mean(axis=0) if mine.any() else np.array(UNMAPPED)).astype(int).tolist()
        colour = f"#{red:02x}{green:02x}{blue:02x}"
        handles.append(Patch(facecolor=colour, edgecolor=LINE, label=f"{name} {mine.mean():.0%}"))
    return handles
