"""A picture of an archive's split: outlines over the ground, coloured by what they are used for."""

import io
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

COLOURS = {"unused": "#d5d5d5", "train": "#4477aa", "val": "#ccbb44", "test": "#ee6677"}
"""Tol's bright scheme, which colour-blind people can tell apart (Paul Tol, Colour Schemes, SRON 2021), and a grey."""

SIZE_INCHES, DPI, PALETTE = 6.0, 100, 32

LINE, WIDE_LINE = 0.2, 1.5
"""Edges in points; wide ones where positions would be smaller than a pixel, as those of a whole continent."""

Floats = npt.NDArray[np.float64]


def split_map(positions: pd.DataFrame, title: str) -> bytes:
    """Draw positions by split as PNG.

    Args:
        positions: One row per position: `split` (None where unused) and `geometry` (WKB, longitude and latitude).
        title: Heading.
    """
    parts, row = shapely.get_parts(shapely.from_wkb(positions["geometry"].to_numpy(object)), return_index=True)
    corners = _unbroken([shapely.get_coordinates(part) for part in parts])
    split = positions["split"].fillna("unused").to_numpy(object)
    points = np.concatenate(corners)
    visible = np.ptp(corners[0][:, 1]) * SIZE_INCHES * DPI >= np.ptp(points, axis=0).max()
    figure = Figure(figsize=(SIZE_INCHES, SIZE_INCHES), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    width = LINE if visible else WIDE_LINE
    for role, colour in COLOURS.items():
        # edges in the faces' colour close the hairlines between neighbours
        drawn = [corners[place] for place in np.flatnonzero(split[row] == role)]
        axes.add_collection(PolyCollection(drawn, facecolor=colour, edgecolor=colour, linewidth=width))
    axes.autoscale_view()
    counts = {role: int((split == role).sum()) for role in COLOURS}
    return finish(figure, axes, float(points[:, 1].mean()), counts, title)


def finish(figure: Figure, axes: Axes, latitude: float, counts: Mapping[str, int], title: str) -> bytes:
    """Give a map of a split its shape, heading and legend, and draw it as PNG.

    Args:
        figure: The figure.
        axes: Its axes, longitude and latitude.
        latitude: In the middle of the map.
        counts: How many positions each colour stands for.
        title: Heading.
    """
    # a degree of longitude is shorter than one of latitude by the cosine of the latitude
    axes.set_aspect(1 / np.cos(np.radians(latitude)))
    axes.set(title=title, xlabel="longitude", ylabel="latitude")
    legend = [Patch(color=colour, label=f"{role} {counts[role]}") for role, colour in COLOURS.items()]
    axes.legend(handles=legend, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=4, frameon=False)
    return _small_png(figure)


def _unbroken(corners: list[Floats]) -> list[Floats]:
    """The outlines with the western hemisphere east of 180 degrees where that makes the picture narrower."""
    west = np.array([ring[:, 0].mean() < 0 for ring in corners])
    middle = np.array([ring[:, 0].mean() for ring in corners])
    if np.ptp(np.where(west, middle + 360, middle)) >= np.ptp(middle):
        return corners
    turn = np.array([360.0, 0.0])
    return [ring + turn if moved else ring for ring, moved in zip(corners, west, strict=True)]


def _small_png(figure: Figure) -> bytes:
    """The figure as PNG of few colours: receipts carry pictures into the web page, so they must stay small."""
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", bbox_inches="tight")
    with Image.open(drawn) as picture:
        picture.convert("RGB").quantize(PALETTE).save(small, format="png", optimize=True)
    return small.getvalue()
