"""The pixel grid of a tile: that of its finest band, on which cube, land cover and map all stand."""

from functools import cached_property

from pydantic import BaseModel, ConfigDict

from agri_assets.scenes.record import Affine, SceneRecord

CORNER_TOLERANCE = 0.01
"""Share of a pixel by which a raster's corner may miss the grid's: below what resampling could notice."""


class TileGrid(BaseModel):
    """A north-up pixel grid.

    Attributes:
        crs: Such as `EPSG:32633`.
        transform: Affine coefficients of the upper-left corner.
        height: Rows of pixels.
        width: Columns of pixels.
    """

    model_config = ConfigDict(frozen=True)

    crs: str
    transform: Affine
    height: int
    width: int

    @classmethod
    def of(cls, record: SceneRecord) -> "TileGrid":
        """The grid of a scene's finest band."""
        height, width = record.shape
        return cls(crs=record.crs, transform=record.transform, height=height, width=width)

    @property
    def resolution(self) -> float:
        """Pixel edge, in units of the CRS."""
        return self.transform[0]

    @cached_property
    def bounds(self) -> tuple[float, float, float, float]:
        """(left, bottom, right, top) in the CRS."""
        a, _, left, _, e, top = self.transform
        return left, top + e * self.height, left + a * self.width, top

    def place(self, bounds: tuple[float, float, float, float], pixel: float) -> tuple[int, int] | None:
        """Where a raster that covers all or part of this grid lies on it: the one rule for scenes and their bands.

        Its upper-left corner must lie on this grid's pixel corners, and it must reach beyond the grid on no side by a
        pixel of its own or more; a coarse raster may by less, since sizes need not divide.

        Args:
            bounds: (left, bottom, right, top) of the raster, in this grid's CRS.
            pixel: Edge of the raster's own pixels, in units of the CRS.

        Returns:
            (rows, columns) of its upper-left corner below and right of this grid's, in this grid's pixels; a coarse
            raster's may be negative by less than one pixel of its own. None where it has no place here.
        """
        left, bottom, right, top = self.bounds
        slack = CORNER_TOLERANCE * self.resolution
        beyond = (left - bounds[0], bottom - bounds[1], bounds[2] - right, bounds[3] - top)
        inside = all(excess < max(slack, pixel - slack) for excess in beyond)
        return self.offset_of(bounds) if inside else None

    def offset_of(self, bounds: tuple[float, float, float, float]) -> tuple[int, int] | None:
        """(rows, columns) by which a raster's upper-left corner lies below and right of this grid's, in its pixels.

        None where the corner is not on this grid's pixel corners, or where raster and grid share no ground.
        """
        left, bottom, right, top = self.bounds
        rows, cols = (top - bounds[3]) / self.resolution, (bounds[0] - left) / self.resolution
        on_corner = all(abs(steps - round(steps)) <= CORNER_TOLERANCE for steps in (rows, cols))
        meets = bounds[0] < right and bounds[2] > left and bounds[1] < top and bounds[3] > bottom
        return (round(rows), round(cols)) if on_corner and meets else None

    @property
    def area(self) -> float:
        """Ground covered, in squared units of the CRS."""
        return self.height * self.width * self.resolution**2

    @property
    def shown(self) -> str:
        """In words, for messages: size, resolution, CRS and extent."""
        left, bottom, right, top = self.bounds
        where = f"x {left:.10g} to {right:.10g}, y {bottom:.10g} to {top:.10g}"
        return f"{self.height} x {self.width} px of {self.resolution:g} m in {self.crs}, {where}"

    def positions(self, tile_size: int) -> tuple[int, int]:
        """Rows and columns of whole tile positions; pixels beyond them belong to no sample."""
        return self.height // tile_size, self.width // tile_size

    def position_bounds(self, row: int, col: int, tile_size: int) -> tuple[float, float, float, float]:
        """(left, bottom, right, top) of one position in the CRS."""
        a, _, left, _, e, top = self.transform
        x, y = left + a * col * tile_size, top + e * row * tile_size
        return x, y + e * tile_size, x + a * tile_size, y


def tile_id(tile: str, row: int, col: int) -> str:
    """Name of a position, such as `33TWL_r012_c034`."""
    return f"{tile}_r{row:03d}_c{col:03d}"
