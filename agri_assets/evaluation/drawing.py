"""The common look of all pictures, and how they become small PNG files."""

import base64
import io

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

INK, MUTED, LINE = "#1f2933", "#52606d", "#d9dee4"
BLUE, VERMILION, GREEN, AMBER = "#0072b2", "#d55e00", "#009e73", "#e69f00"
SERIES = (BLUE, VERMILION, GREEN, AMBER, "#cc79a7", "#56b4e9")
"""Line colours that people with colour-blindness can tell apart (Okabe and Ito 2008)."""

DASHES = ("-", (0, (6, 2)), (0, (2, 1.5)), "-.", ":", (0, (8, 2, 1, 2)))
DPI = 120
LARGEST_PNG = 80_000
"""Pictures are kept below this many bytes, since they travel as metadata."""


def canvas(width: float = 5.2, height: float = 4.6) -> tuple[Figure, Axes]:
    """A figure (inches) with one set of axes in the common look, on white so that it reads the same everywhere."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    style(axes)
    return figure, axes


def style(axes: Axes) -> None:
    """Quiet axes: two spines, a light grid behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(colors=MUTED, labelsize=9, length=0)
    axes.grid(color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=INK, fontsize=10)


def unit_square(axes: Axes, x: str, y: str) -> None:
    """Equal axes from 0 to 1 with names."""
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=x, ylabel=y, aspect="equal")


def figure_png(figure: Figure) -> bytes:
    """A figure as PNG, reduced to 256 colours where it would be too large."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return small_png(np.asarray(Image.open(buffer).convert("RGB")))


def small_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """An RGB picture (height, width, 3) as PNG, with fewer colours the larger it would be otherwise."""
    image = Image.fromarray(pixels)
    content = _encode(image)
    for colors in (256, 128, 64, 32):
        if len(content) <= LARGEST_PNG:
            break
        content = _encode(image.quantize(colors, dither=Image.Dither.NONE))
    return content


def data_uri(png: bytes) -> str:
    """A PNG as an address that needs no file."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _encode(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="png", optimize=True)
    return buffer.getvalue()
