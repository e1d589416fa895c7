"""A small picture of the map: classes over a true-colour view of the very pixels that were mapped."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from agri_assets.evaluation.chips import TRUE_COLOUR, true_colour
from agri_assets.evaluation.drawing import DPI, INK, LINE, figure_png
from agri_assets.maps.raster import AGRICULTURAL, COLOURS, NODATA, OTHER, Bytes

WIDTH = 512
"""Edge of the picture, in pixels."""

VIEW = 256
"""Edge of the view in it, as nearly as whole pixels per position allow: twice as fine would be four times the bytes."""

FINE_VIEW = 1400
"""Longest edge of the view that pages show: fields can be told in it, and a page with it stays small."""

OPACITY = 0.5
"""Of the agricultural colour over the view; all else keeps its true colours."""

LEGEND = 0.62
"""Height of title and legend, in inches."""

BAR = 0.25
"""Longest scale bar, as a share of the picture's width."""

UNMAPPED = (226, 230, 234)

Pixels = npt.NDArray[np.uint16]


class Mosaic:
    """A true-colour view of a tile, as many pixels for each position as a page has room for."""

    def __init__(self, rows: int, cols: int, tile_size: int) -> None:
        """A black view of (rows, cols) positions."""
        longest = max(rows, cols, 1)
        self._coarse = int(np.clip(round(VIEW / longest), 1, tile_size))
        self._times = max(1, min(FINE_VIEW // (self._coarse * longest), tile_size // self._coarse))
        self.detail = self._coarse * self._times
        self.view = np.zeros((rows, cols, self.detail, self.detail, 3), dtype=np.uint8)

    @property
    def image(self) -> Bytes:
        """The view (rows * detail, cols * detail, 3)."""
        return _flat(self.view)

    @property
    def thumbnail(self) -> Bytes:
        """The view in the size of the small picture."""
        rows, cols = self.view.shape[:2]
        coarse = (rows, cols, self._coarse, self._times, self._coarse, self._times, 3)
        return _flat(self.view.reshape(coarse).mean(axis=(3, 5)).round().astype(np.uint8))


def _flat(view: Bytes) -> Bytes:
    """Positions (rows, cols, detail, detail, 3) beside each other."""
    rows, cols, detail = view.shape[:3]
    return np.ascontiguousarray(view.transpose(0, 2, 1, 3, 4)).reshape(rows * detail, cols * detail, 3)


def shrunk(pixels: Pixels, bands: Sequence[str], units: str, tile_size: int, detail: int) -> Bytes:
    """True colours of the whole positions in pixels (bands, height, width), shrunk by averaging reflectance.

    Returns:
        (rows, columns, detail, detail, 3).
    """
    shown = TRUE_COLOUR if set(TRUE_COLOUR) <= set(bands) else bands[:1]
    rows, cols = pixels.shape[1] // tile_size, pixels.shape[2] // tile_size
    edges = np.linspace(0, tile_size, detail + 1).astype(int)
    lengths = np.diff(edges)
    colours = pixels[[bands.index(band) for band in shown], : rows * tile_size, : cols * tile_size]
    for axis, count in ((1, rows), (2, cols)):
        starts = (np.arange(count)[:, None] * tile_size + edges[:-1]).ravel()
        shape = [1, 1, 1]
        shape[axis] = -1
        colours = np.add.reduceat(colours, starts, axis=axis, dtype=np.float32) / np.tile(lengths, count).reshape(shape)
    picture = true_colour(colours.round().astype(np.uint16), shown, units)
    return picture.reshape(rows, detail, cols, detail, 3).swapaxes(1, 2)


def quicklook_png(mosaic: Mosaic, classes: Bytes, title: str, width_m: float) -> bytes:
    """A small picture of the map, as PNG.

    Args:
        mosaic: The view.
        classes: (rows, columns) of squares.
        title: Heading.
        width_m: Of the ground that the view shows, in metres.
    """
    image = mosaic.thumbnail
    blended = _blend(image, classes)
    scale = WIDTH / max(image.shape) / DPI
    height, width = image.shape[0] * scale, image.shape[1] * scale
    figure = Figure(figsize=(width, height + LEGEND), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    legend = LEGEND / (height + LEGEND)
    axes = figure.add_axes((0, legend, 1, 1 - legend))
    axes.imshow(blended, interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    _scale_bar(axes, width_m)
    figure.text(0.02, legend * 0.68, title, fontsize=8.5, color=INK, va="center", fontweight="bold")
    figure.legend(
        handles=_handles(blended, classes),
        loc="lower left",
        bbox_to_anchor=(0.005, 0),
        ncols=3,
        fontsize=7.5,
        frameon=False,
    )
    return figure_png(figure)


def sampled(squares: Bytes, shape: tuple[int, ...]) -> Bytes:
    """Values of squares (rows, columns) at the pixels of a picture of the same ground."""
    down, across = (np.arange(size) * count // size for size, count in zip(shape, squares.shape, strict=False))
    return np.asarray(squares[down[:, None], across])


def round_length(longest: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is not longer."""
    power = 10.0 ** np.floor(np.log10(longest))
    return float(power * max(times for times in (1, 2, 5) if times * power <= longest))


def length_text(metres: float) -> str:
    """A length as people say it."""
    return f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"


def _blend(image: Bytes, classes: Bytes) -> Bytes:
    spread, blended = sampled(classes, image.shape[:2]), image.astype(np.float32)
    mine, amber = spread == AGRICULTURAL, np.array(COLOURS[AGRICULTURAL][:3], dtype=np.float32)
    blended[mine] = (1 - OPACITY) * blended[mine] + OPACITY * amber
    blended[spread == NODATA] = UNMAPPED
    return blended.round().astype(np.uint8)


def _scale_bar(axes: Axes, width_m: float) -> None:
    """A bar of a round length in the lower right corner, readable on any ground."""
    metres = round_length(width_m * BAR)
    ends = [0.97 - metres / width_m, 0.97]
    drawn: dict[str, Any] = {"color": "white", "transform": axes.transAxes}
    wide, narrow = ([withStroke(linewidth=width, foreground="black")] for width in (4.5, 2.5))
    axes.plot(ends, [0.035, 0.035], linewidth=2.5, solid_capstyle="butt", path_effects=wide, **drawn)
    axes.text(
        *(sum(ends) / 2, 0.05, length_text(metres)),
        fontsize=7.5,
        ha="center",
        va="bottom",
        path_effects=narrow,
        **drawn,
    )


def _handles(blended: Bytes, classes: Bytes) -> list[Patch]:
    """Legend entries: each class's mean colour in the picture, and its share of squares."""
    names = {AGRICULTURAL: "agricultural", OTHER: "not agricultural", NODATA: "not mapped"}
    spread, handles = sampled(classes, blended.shape[:2]), []
    for value, name in names.items():
        seen = spread == value
        red, green, blue = (blended[seen].mean(axis=0) if seen.any() else np.array(UNMAPPED)).astype(int).tolist()
        colour = f"#{red:02x}{green:02x}{blue:02x}"
        handles.append(Patch(facecolor=colour, edgecolor=LINE, label=f"{name} {(classes == value).mean():.0%}"))
    return handles
