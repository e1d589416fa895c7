"""Parcels drawn on a tile's grid, window by window, each window as the whole would be."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import shapely
from affine import Affine
from rasterio.features import rasterize
from rasterio.windows import Window

from agri_assets.labels.cover import Codes
from agri_assets.labels.parcel_file import Geometries
from agri_assets.labels.parcel_outline import crossed_pixels
from agri_assets.labels.worldcover import NODATA

Boundary = Literal["centre", "touched", "ignore"]


@dataclass(frozen=True)
class Drawing:
    """Polygons to draw; where they overlap, the higher code counts.

    Attributes:
        polygons: In pixels of the tile's grid, vertices on the lattice of `parcel_outline`, in order of code.
        codes: Of each polygon, below 255; `NODATA` gives its ground no class.
        outside: The code where no polygon is.
        boundary: How pixels on an outline are treated; see `ParcelLabels`.
        tree: Of the polygons.
    """

    polygons: Geometries
    codes: Codes
    outside: int
    boundary: Boundary
    tree: shapely.STRtree

    @classmethod
    def of(cls, polygons: Geometries, codes: Codes, outside: int, boundary: Boundary) -> "Drawing":
        """Put polygons in the order they are drawn in."""
        order = np.argsort(codes, kind="stable")
        return cls(polygons[order], codes[order], outside, boundary, shapely.STRtree(polygons[order]))

    def read(self, window: Window) -> Codes:
        """The codes of a window of the tile's grid."""
        left, top = window.col_off, window.row_off
        near = np.sort(self.tree.query(shapely.box(left, top, left + window.width, top + window.height)))
        polygons = self.polygons[near]
        # one more than the code, so that ground without class and ground outside can be told apart
        ranks = self.codes[near] + np.uint8(1)
        drawn = _fill(polygons, ranks, window)
        if self.boundary != "centre":
            crossed = crossed_pixels(polygons, window)
            places = crossed.rows, crossed.cols
            if self.boundary == "touched":
                np.maximum.at(drawn, places, ranks[crossed.polygon])
            else:
                drawn[places] = NODATA + 1
        codes_of_ranks = np.array([self.outside, *range(255)], np.uint8)
        return codes_of_ranks[drawn]


def _fill(polygons: Geometries, ranks: Codes, window: Window) -> Codes:
    """The rank of the last polygon that holds each pixel's centre, 0 where none does."""
    shape = int(window.height), int(window.width)
    if not len(polygons):
        return np.zeros(shape, np.uint8)
    # coordinates and their differences from the window's corner are exact: every window has the same edges
    place = Affine.translation(int(window.col_off), int(window.row_off))
    pairs = zip(polygons.tolist(), ranks.tolist(), strict=True)
    drawn: Codes = rasterize(pairs, out_shape=shape, fill=0, transform=place, dtype=np.uint8)
    return drawn
