"""A picture of a split: positions over the ground, coloured by what they are used for."""

import io

import numpy as np
import pandas as pd
import shapely
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

COLOURS = {"unused": "#d5d5d5", "train": "#4477aa", "val": "#ccbb44", "test": "#ee6677"}
"""Tol's bright scheme, which colour-blind people can tell apart (Paul Tol, Colour Schemes, SRON 2021), and a grey."""

SIZE_INCHES, DPI, PALETTE = 6.0, 100, 32


def split_map(positions: pd.DataFrame, title: str) -> bytes:
    """Draw positions by split as PNG.

    Args:
        positions: One row per position: `split` (None where unused) and `geometry` (WKB, longitude and latitude).
        title: Heading.
    """
    corners = shapely.get_coordinates(shapely.from_wkb(positions["geometry"].to_numpy(object))).reshape(-1, 5, 2)
    split = positions["split"].fillna("unused").to_numpy(object)
    figure = Figure(figsize=(SIZE_INCHES, SIZE_INCHES), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for role, colour in COLOURS.items():
        # edges in the faces' colour close the hairlines between neighbours
        outlines = corners[split == role]
        axes.add_collection(PolyCollection(list(outlines), facecolor=colour, edgecolor=colour, linewidth=0.2))
    axes.autoscale_view()
    # a degree of longitude is shorter than one of latitude by the cosine of the latitude
    axes.set_aspect(1 / np.cos(np.radians(float(corners[..., 1].mean()))))
    axes.set(title=title, xlabel="longitude", ylabel="latitude")
    legend = [Patch(color=colour, label=f"{role} {(split == role).sum()}") for role, colour in COLOURS.items()]
    axes.legend(handles=legend, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=4, frameon=False)
    return _small_png(figure)


def _small_png(figure: Figure) -> bytes:
    """The figure as PNG of few colours: receipts carry pictures into the web page, so they must stay small."""
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", bbox_inches="tight")
    with Image.open(drawn) as picture:
        picture.convert("RGB").quantize(PALETTE).save(small, format="png", optimize=True)
    return small.getvalue()
