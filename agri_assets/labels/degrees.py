"""The longitudes and latitudes that a part of a projected grid covers, in two spans across the antimeridian."""

import math
from dataclasses import dataclass

from rasterio.warp import transform_bounds

Bounds = tuple[float, float, float, float]

SHEET_DEGREES = 3
"""Edge of a WorldCover tile (Product User Manual 2.0: tiles of 3 by 3 degrees)."""


@dataclass(frozen=True)
class Degrees:
    """A box in EPSG:4326.

    Attributes:
        south: Lower latitude.
        north: Upper latitude.
        spans: Western and eastern longitudes; two spans where the box crosses the antimeridian.
    """

    south: float
    north: float
    spans: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, crs: str, bounds: Bounds) -> "Degrees":
        """The box around (left, bottom, right, top) in a CRS."""
        west, south, east, north = transform_bounds(crs, "EPSG:4326", *bounds)
        # across the antimeridian rasterio gives a western edge east of the eastern one
        return cls(south, north, ((west, east),) if west <= east else ((west, 180.0), (-180.0, east)))

    @property
    def boxes(self) -> tuple[Bounds, ...]:
        """(west, south, east, north) of each span."""
        return tuple((west, self.south, east, self.north) for west, east in self.spans)

    @property
    def outer(self) -> Bounds:
        """(west, south, east, north) of the whole; west is east of east across the antimeridian."""
        return self.spans[0][0], self.south, self.spans[-1][1], self.north

    def meets(self, bounds: Bounds) -> bool:
        """Whether (west, south, east, north) shares ground with the box."""
        west, south, east, north = bounds
        return south < self.north and north > self.south and any(west < b and east > a for a, b in self.spans)

    @property
    def sheets(self) -> tuple[str, ...]:
        """Names of the WorldCover tiles under the box, after their south-western corners (`N45E012`, `S03W060`)."""
        found = []
        for west, east in self.spans:
            for south in _starts(self.south, self.north):
                found += [_sheet_name(south, corner) for corner in _starts(west, east)]
        return tuple(found)


def _starts(low: float, high: float) -> range:
    """Multiples of a sheet's edge at which the sheets between two coordinates start."""
    first = math.floor(low / SHEET_DEGREES) * SHEET_DEGREES
    return range(first, math.ceil(high / SHEET_DEGREES) * SHEET_DEGREES, SHEET_DEGREES)


def _sheet_name(south: int, west: int) -> str:
    return f"{'S' if south < 0 else 'N'}{abs(south):02d}{'W' if west < 0 else 'E'}{abs(west):03d}"
