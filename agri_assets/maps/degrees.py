"""Longitude and latitude over a grid as two short polynomials, so that a page can tell them without a library."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pyproj import Transformer

from agri_assets.scenes.grid import TileGrid

DEGREE = 3
"""Within 2 cm over a whole Sentinel-2 tile, the fit included."""

POINTS = 9
"""Points along each edge that the polynomials are fitted to."""

TERMS = tuple((i, j) for i in range(DEGREE + 1) for j in range(DEGREE + 1 - i))

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Degrees:
    """Polynomials in the place within a picture: across from -1 (left) to 1, down from -1 (top) to 1.

    Attributes:
        longitude: Factors of `across ** i * down ** j`, by (i, j) of `TERMS`; beyond 180 across the antimeridian.
        latitude: The same.
    """

    longitude: tuple[float, ...]
    latitude: tuple[float, ...]

    @classmethod
    def over(cls, grid: TileGrid, height: int, width: int) -> "Degrees":
        """For the first so many rows and columns of pixels of a grid."""
        a, _, left, _, e, top = grid.transform
        steps = np.linspace(-1, 1, POINTS)
        down, across = (axis.ravel() for axis in np.meshgrid(steps, steps, indexing="ij"))
        x, y = left + a * width * (across + 1) / 2, top + e * height * (down + 1) / 2
        longitude, latitude = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform(x, y)
        if np.ptp(longitude) > 180:
            longitude = np.where(longitude < 0, longitude + 360, longitude)
        terms = powers(across, down)
        return cls(*(tuple(np.linalg.lstsq(terms, values)[0].tolist()) for values in (longitude, latitude)))

    def at(self, across: float, down: float) -> tuple[float, float]:
        """Longitude and latitude of a place."""
        terms = powers(np.array([across]), np.array([down]))
        longitude, latitude = (float((terms @ np.array(factors))[0]) for factors in (self.longitude, self.latitude))
        return (longitude + 180) % 360 - 180, latitude


def powers(across: Floats, down: Floats) -> Floats:
    """The terms of the polynomials, (places, terms)."""
    return np.stack([across**i * down**j for i, j in TERMS], axis=1)
