"""What a collection declares about its maps."""

from pydantic import Field

from agri_assets.settings import Settings

MIN_STRIDE = 8
"""Finer maps would only be smoother, at four times the work for each halving."""


class MapSettings(Settings):
    """Which acquisition is mapped, and how finely.

    Attributes:
        date: `clearest` takes for every position its clearest date; otherwise an ISO date of the cube.
        min_clear: Positions whose clear fraction stays below are nodata.
        stride: Pixels from one predicted window to the next, a divisor of the tile size: windows overlap, and each
            square of so many pixels gets the mean of those that cover it. None is the tile size: no overlap.
    """

    date: str = Field(default="clearest", pattern=r"^(clearest|\d{4}-\d{2}-\d{2})$")
    min_clear: float = Field(default=0.5, ge=0, le=1)
    stride: int | None = Field(default=None, ge=MIN_STRIDE)
