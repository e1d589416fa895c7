"""What a collection declares about its maps."""

from pydantic import Field

from agri_assets.settings import Settings


class MapSettings(Settings):
    """Which acquisition is mapped.

    Attributes:
        date: `clearest` takes for every position its clearest date; otherwise an ISO date of the cube.
        min_clear: Positions whose clear fraction stays below are nodata.
    """

    date: str = Field(default="clearest", pattern=r"^(clearest|\d{4}-\d{2}-\d{2})$")
    min_clear: float = Field(default=0.5, ge=0, le=1)
