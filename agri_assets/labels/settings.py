"""What a collection declares about its labels."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from agri_assets.settings import Settings


class LandLabels(Settings):
    """Labels of positions by the share of agricultural pixels in them.

    Attributes:
        positive: Positions with at least this cropland fraction are labelled 1.
        negative: Positions with at most this cropland fraction are labelled 0; between the two they are ambiguous.
        min_labelled: Positions with a smaller share of pixels that have any class get no label, and are not ambiguous.
    """

    positive: float = Field(default=0.5, gt=0, le=1)
    negative: float = Field(default=0.2, ge=0, lt=1)
    min_labelled: float = Field(default=0.5, ge=0, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> "LandLabels":
        if self.negative >= self.positive:
            raise ValueError(f"negative ({self.negative}) must be below positive ({self.positive})")
        return self


class WorldCoverLabels(LandLabels):
    """ESA WorldCover (10 m, EPSG:4326).

    Attributes:
        path: A WorldCover GeoTIFF, a folder of them, the address or path of one with `{tile}` in it where the name of
            the 3 degree tile goes (`N45E012`), a STAC item on disk, or a STAC API's address; None for sample scenes,
            which bring their own.
        collection: The STAC API's collection.
        year: Which edition counts where a folder or a STAC API holds both: 2020 (v100) or 2021 (v200).
        sign: As for a source's `sign`.
        agricultural: Class codes that count as agricultural (40 = cropland).
    """

    kind: Literal["worldcover"]
    path: str | None = None
    collection: str = "esa-worldcover"
    year: Literal[2020, 2021] = 2021
    sign: str | None = None
    agricultural: tuple[int, ...] = (40,)


class ParcelLabels(LandLabels):
    """Parcels from a vector file, in any CRS.

    Where parcels overlap, agricultural ones win over others and those over ignored ones; among parcels of one side,
    the class whose name is later in the alphabet wins. A parcel that holds no pixel's centre, such as a sliver
    narrower than a pixel, leaves a trace only with `boundary: touched`.

    Attributes:
        path: GeoParquet, GeoPackage, Shapefile, GeoJSON, or another vector file that GDAL reads.
        layer: Of a file with several; its first where it is not said.
        attribute: Column whose values name a parcel's class; None where every parcel is agricultural.
        mapping: YAML, JSON or CSV file from values of `attribute` to `agricultural`, `other` or `ignore`.
        unmapped: What values that `mapping` does not name count as; `refuse` fails and names them.
        outside: What ground outside all parcels counts as.
        boundary: `centre`: a pixel belongs to the parcel that holds its centre; `touched`: to any parcel that touches
            it; `ignore`: as `centre`, but pixels that any parcel's outline crosses have no class.
    """

    kind: Literal["parcels"]
    path: Path
    layer: str | None = None
    attribute: str | None = None
    mapping: Path | None = None
    unmapped: Literal["refuse", "ignore", "other"] = "refuse"
    outside: Literal["other", "ignore"] = "other"
    boundary: Literal["centre", "touched", "ignore"] = "centre"

    @model_validator(mode="after")
    def _mapped(self) -> "ParcelLabels":
        if (self.attribute is None) != (self.mapping is None):
            raise ValueError("attribute and mapping go together: a column, and what its values mean")
        return self


class ClassLabels(Settings):
    """Class folders of an archive: the named ones are agricultural, all others are not."""

    kind: Literal["classes"]
    agricultural: tuple[str, ...]


Labels = Annotated[WorldCoverLabels | ParcelLabels | ClassLabels, Field(discriminator="kind")]
