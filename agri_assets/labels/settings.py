"""What a collection declares about its labels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from agri_assets.labels.worldcover import NAMES
from agri_assets.settings import Settings


def _number(value: object) -> object:
    """`"2021"` as a number: what comes out of an environment variable is text."""
    return int(value) if isinstance(value, str) and value.strip().isdecimal() else value


def _codes(value: object) -> tuple[int, ...]:
    """Codes of WorldCover, from a list or from text such as `30, 40`."""
    listed = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(listed, list | tuple):
        raise ValueError(f"{value!r} is no list of WorldCover codes, such as [40]")
    known = ", ".join(str(code) for code in NAMES)
    codes = [_number(entry) for entry in listed]
    for code in codes:
        if not isinstance(code, int) or code not in NAMES:
            raise ValueError(f"{code!r} is no class of WorldCover; its codes are {known}")
    if not codes:
        raise ValueError(f"names no class; WorldCover's codes are {known}")
    if twice := [code for code in codes if codes.count(code) > 1]:
        raise ValueError(f"names class {twice[0]} twice; keep one")
    return tuple(int(str(code)) for code in codes)


def _local(value: object) -> object:
    """Parcels are read from disk alone; pathlib would make a path of an address without a word."""
    if isinstance(value, str) and "://" in value:
        raise ValueError(f"{value!r} is an address; only local files are read, so fetch it and name the file")
    return value


LocalPath = Annotated[Path, BeforeValidator(_local)]


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

    @model_validator(mode="before")
    @classmethod
    def _said(cls, values: Any) -> Any:
        """An unset variable with an empty default means that nothing was said."""
        if not isinstance(values, Mapping):
            return values
        return {key: value for key, value in values.items() if value is not None and str(value).strip()}

    @model_validator(mode="after")
    def _ordered(self) -> "LandLabels":
        if self.negative >= self.positive:
            raise ValueError(f"negative ({self.negative}) must be below positive ({self.positive})")
        return self


class WorldCoverLabels(LandLabels):
    """ESA WorldCover (10 m, EPSG:4326).

    Attributes:
        path: A WorldCover GeoTIFF, a folder of them, the address or path of one with `{tile}` in it where the name of
            the 3 degree tile goes (`N45E012`), a STAC item or its address, or a STAC API's address; None for sample
            scenes, which bring their own. Where files of a folder are named as WorldCover's maps, only those count.
        collection: The STAC API's collection.
        year: Which edition counts where a folder or a STAC API holds both: 2020 (v100) or 2021 (v200).
        sign: As for a source's `sign`.
        agricultural: Class codes that count as agricultural (40 = cropland).
    """

    kind: Literal["worldcover"]
    path: str | None = None
    collection: str = "esa-worldcover"
    year: Annotated[Literal[2020, 2021], BeforeValidator(_number)] = 2021
    sign: str | None = None
    agricultural: Annotated[tuple[int, ...], BeforeValidator(_codes)] = (40,)


class ParcelLabels(LandLabels):
    """Parcels from a vector file, in any CRS.

    Where parcels overlap, agricultural ones win over others and those over ignored ones; among parcels of one side,
    the class whose name is later in the alphabet wins. A parcel that holds no pixel's centre, such as a sliver
    narrower than a pixel, leaves a trace only with `boundary: touched`.

    Attributes:
        path: GeoParquet, GeoPackage, Shapefile, GeoJSON, or another vector file that GDAL reads, on disk.
        layer: Of a file with several; its first one with geometries where it is not said.
        attribute: Column whose values name a parcel's class; None where every parcel is agricultural.
        mapping: YAML, JSON or CSV file from values of `attribute` to `agricultural`, `other` or `ignore`.
        unmapped: What values that `mapping` does not name count as; `refuse` fails and names them.
        outside: What ground outside all parcels counts as.
        boundary: `centre`: a pixel belongs to the parcel that holds its centre; `touched`: to any parcel that touches
            it; `ignore`: as `centre`, but pixels that any parcel's outline crosses have no class.
    """

    kind: Literal["parcels"]
    path: LocalPath
    layer: str | None = None
    attribute: str | None = None
    mapping: LocalPath | None = None
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
