"""What a collection declares about its labels."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from agri_assets.settings import Settings


class WorldCoverLabels(Settings):
    """ESA WorldCover (10 m, EPSG:4326): a position is labelled by the share of agricultural pixels in it.

    Attributes:
        path: A WorldCover GeoTIFF or a folder of them; None for sample scenes, which bring their own.
        agricultural: Class codes that count as agricultural (40 = cropland).
        positive: Positions with at least this cropland fraction are labelled 1.
        negative: Positions with at most this cropland fraction are labelled 0; between the two they are ambiguous.
    """

    kind: Literal["worldcover"]
    path: Path | None = None
    agricultural: tuple[int, ...] = (40,)
    positive: float = Field(default=0.5, gt=0, le=1)
    negative: float = Field(default=0.2, ge=0, lt=1)

    @model_validator(mode="after")
    def _ordered(self) -> "WorldCoverLabels":
        if self.negative >= self.positive:
            raise ValueError(f"negative ({self.negative}) must be below positive ({self.positive})")
        return self


class ClassLabels(Settings):
    """Class folders of an archive: the named ones are agricultural, all others are not."""

    kind: Literal["classes"]
    agricultural: tuple[str, ...]


Labels = Annotated[WorldCoverLabels | ClassLabels, Field(discriminator="kind")]
