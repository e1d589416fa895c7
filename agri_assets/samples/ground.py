"""Ground positions of pixels: a block of one UTM zone's 10 m lattice, and smooth fields on it.

The landscape lives on one plane for the whole world, Mercator's, scaled so that its metres are true at 45 degrees.
Being conformal it keeps shapes, and having no zones it gives the same land under tiles of different UTM zones. Blocks
count pixels from the zone's own origin, so what depends on pixel numbers agrees between tiles of one zone bit for bit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from rasterio.warp import transform as warp_transform

from agri_assets.samples.noise import Doubles, Floats, Ints
from agri_assets.samples.tiles import PIXEL_M

EARTH_RADIUS_M = 6_378_137.0
"""Equatorial radius of WGS 84."""
TRUE_SCALE = float(np.cos(np.radians(45.0)))
"""Scale of the plane's metres; ground metres equal plane metres at 45 degrees of latitude."""
SEAM = -29.0
"""The meridian, in the Atlantic, along which the plane is cut; tiles across the antimeridian are whole on it."""
ANCHOR_PX = 96
"""Pixels between the positions that are transformed exactly; between them a straight line errs by centimetres."""

Number = TypeVar("Number", np.float32, np.float64)


def to_plane(lon: Doubles, lat: Doubles) -> tuple[Doubles, Doubles]:
    """Plane coordinates in metres of positions in degrees; the plane is cut along `SEAM`, where no land is farmed."""
    scale = EARTH_RADIUS_M * TRUE_SCALE
    return scale * np.radians(np.where(lon < SEAM, lon + 360, lon)), scale * np.arcsinh(np.tan(np.radians(lat)))


@dataclass(frozen=True)
class Block:
    """A rectangle of pixels of one UTM zone.

    Attributes:
        epsg: The UTM zone.
        col: Number of its first column: easting / 10.
        row: Number of its first row, growing southwards: -northing / 10.
        width: Columns.
        height: Rows.
    """

    epsg: int
    col: int
    row: int
    width: int
    height: int

    @property
    def cols(self) -> Ints:
        """Pixel column numbers, shape (1, width)."""
        return np.arange(self.col, self.col + self.width, dtype=np.int64)[None, :]

    @property
    def rows(self) -> Ints:
        """Pixel row numbers, shape (height, 1)."""
        return np.arange(self.row, self.row + self.height, dtype=np.int64)[:, None]

    @cached_property
    def xy(self) -> tuple[Doubles, Doubles]:
        """Plane coordinates of every pixel's centre, metres, each of shape (height, width)."""
        anchors = self.nodes(ANCHOR_PX)
        x, y = anchors.projected()
        return anchors.spread(x), anchors.spread(y)

    def nodes(self, step: int) -> "Nodes":
        """The lattice of every `step`-th pixel corner that encloses the block."""
        return Nodes(self.epsg, self.cols[0].astype(np.float64) + 0.5, self.rows[:, 0].astype(np.float64) + 0.5, step)

    def field(self, step: int, function: Callable[[Doubles, Doubles], Floats]) -> Floats:
        """A smooth function of plane coordinates, evaluated every `step` pixels and interpolated between."""
        nodes = self.nodes(step)
        return nodes.spread(function(*nodes.xy))


class Nodes:
    """Pixel corners every `step` pixels of a zone's lattice, and interpolation from them to given places.

    Args:
        epsg: The UTM zone.
        cols: Places wanted along a row, in pixels, ascending.
        rows: Places wanted down a column, in pixels, ascending.
        step: Pixels between nodes.
    """

    def __init__(self, epsg: int, cols: Doubles, rows: Doubles, step: int) -> None:
        self.epsg, self.step = epsg, step
        self._left, self._across = _brackets(cols, step)
        self._top, self._down = _brackets(rows, step)
        self._cols = np.arange(self._left[0], self._left[-1] + 2) * step
        self._rows = np.arange(self._top[0], self._top[-1] + 2) * step

    @cached_property
    def xy(self) -> tuple[Doubles, Doubles]:
        """Plane coordinates of the nodes, metres, each of shape (node rows, node columns)."""
        anchors = Nodes(self.epsg, self._cols.astype(np.float64), self._rows.astype(np.float64), ANCHOR_PX)
        x, y = anchors.projected()
        return anchors.spread(x), anchors.spread(y)

    @property
    def spacing_m(self) -> float:
        """Ground metres between neighbouring nodes."""
        return float(self.step * PIXEL_M)

    def projected(self) -> tuple[Doubles, Doubles]:
        """Plane coordinates of the nodes by the map projection itself."""
        east, north = np.meshgrid(self._cols * float(PIXEL_M), self._rows * -float(PIXEL_M))
        lon, lat = warp_transform(f"EPSG:{self.epsg}", "EPSG:4326", east.ravel().tolist(), north.ravel().tolist())
        x, y = to_plane(np.asarray(lon), np.asarray(lat))
        return x.reshape(east.shape), y.reshape(east.shape)

    def spread(self, values: NDArray[Number]) -> NDArray[Number]:
        """Interpolate node values linearly to the wanted places; keeps the dtype of `values`."""
        across = self._across.astype(values.dtype)[None, :]
        down = self._down.astype(values.dtype)[:, None]
        top, left = self._top - self._top[0], self._left - self._left[0]
        lines = values[top] + down * (values[top + 1] - values[top])
        west = lines[:, left]
        result: NDArray[Number] = west + across * (lines[:, left + 1] - west)
        return result


def _brackets(places: Doubles, step: int) -> tuple[Ints, Doubles]:
    """Number of the node at or before each place, and how far from it towards the next the place lies."""
    scaled = places / step
    before = np.floor(scaled)
    return before.astype(np.int64), scaled - before
