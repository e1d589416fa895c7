"""What the codes of a land-cover raster mean; kept in the raster's own tags, so that one reader serves every kind."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from rasterio.io import DatasetReader, DatasetWriter

from agri_assets.errors import LabelError
from agri_assets.labels.settings import LandLabels, WorldCoverLabels
from agri_assets.labels.worldcover import COLOURS, NAMES, NODATA, Colour

TAG = "LAND_COVER_LEGEND"
"""Name of the tag that holds the legend as JSON."""


class Legend(BaseModel):
    """The classes of a land-cover raster; code 0 is no class and is none of them.

    Attributes:
        kind: Kind of the labels that the raster was made from.
        names: Name of each class by code.
        agricultural: Codes that count as agricultural.
        colours: Colour of each class by code.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["worldcover", "parcels"]
    names: dict[int, str]
    agricultural: tuple[int, ...]
    colours: dict[int, Colour]


def worldcover_legend(agricultural: tuple[int, ...]) -> Legend:
    """The legend of WorldCover with these codes counting as agricultural."""
    return Legend(kind="worldcover", names=NAMES, agricultural=agricultural, colours=COLOURS)


def write_legend(dataset: DatasetWriter, legend: Legend) -> None:
    """Put a legend into a raster's tags and its colour table."""
    dataset.update_tags(**{TAG: legend.model_dump_json()})
    colours = {NODATA: (0, 0, 0), **legend.colours}
    dataset.write_colormap(1, {code: (*colour, 255) for code, colour in colours.items()})


def read_legend(dataset: DatasetReader, labels: LandLabels) -> Legend:
    """The legend of a land-cover raster under a collection's labels.

    WorldCover's codes are published, and the configuration of today says which of them are agricultural; what parcels'
    codes mean only the raster knows.

    Raises:
        LabelError: The raster was made from labels of another kind, or its legend is missing or damaged.
    """
    text = dataset.tags().get(TAG)
    today = worldcover_legend(labels.agricultural) if isinstance(labels, WorldCoverLabels) else None
    if text is None and today is not None:
        return today
    try:
        stored = Legend.model_validate_json(text or "")
    except ValidationError:
        raise LabelError(f"{dataset.name}: has no readable legend; materialise land_cover again") from None
    wanted = "worldcover" if today else "parcels"
    if stored.kind != wanted:
        raise LabelError(f"{dataset.name}: was made from {stored.kind}, not {wanted}; materialise land_cover again")
    return today or stored
