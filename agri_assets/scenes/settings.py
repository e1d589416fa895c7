"""What a collection declares about its source of scenes or tiles."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from agri_assets.settings import Settings

MGRS_TILE = r"^(0?[1-9]|[1-5][0-9]|60)[C-HJ-NP-X][A-HJ-NP-Z][A-HJ-NP-V]$"
"""Pattern of an MGRS 100 km tile name such as `33TWL`."""

TileName = Annotated[str, Field(pattern=MGRS_TILE)]


def _listed(value: object) -> object:
    """`33TWL, 33TWM` as a list: what comes out of an environment variable."""
    return value.replace(",", " ").split() if isinstance(value, str) else value


def _none_if_blank(value: object) -> object:
    """An unset variable with an empty default means that nothing was said."""
    return None if isinstance(value, str) and not value.strip() else value


TileNames = Annotated[tuple[TileName, ...], BeforeValidator(_listed)]
Dates = Annotated[str | None, BeforeValidator(_none_if_blank), Field(pattern=r"^\d{4}-\d\d-\d\d/\d{4}-\d\d-\d\d$")]
"""First and last day, both counted in: `2023-04-01/2023-10-31`."""

Percent = Annotated[float | None, BeforeValidator(_none_if_blank), Field(ge=0, le=100)]


class SceneSettings(Settings):
    """What every source of scenes may say.

    Attributes:
        tiles: Limits which tiles are used; all that the source holds where it is empty.
        max_refused: A larger share of refused scenes among a tile's scenes fails its inventory.
    """

    tiles: TileNames = ()
    max_refused: float = Field(default=0.5, ge=0, le=1)


class FoundScenes(SceneSettings):
    """What every source of scenes that are not made may say.

    Attributes:
        dates: Limits the days of acquisition.
        max_cloud: Leaves out scenes whose metadata state a larger cloud cover, in percent.
    """

    dates: Dates = None
    max_cloud: Percent = None


class SampleSource(SceneSettings):
    """Sample scenes, written by the project itself the first time they are asked for."""

    kind: Literal["sample"]
    tiles: TileNames = ("31TCJ", "31TDJ")
    dates: int = Field(default=2, ge=1)
    size: int = Field(default=2048, ge=384, le=10980)
    seed: int = 0
    cloudy_dates: int = Field(default=1, ge=0)
    damaged: int = Field(default=0, ge=0)
    path: Path | None = None


class SafeSource(FoundScenes):
    """Sentinel-2 L2A products in a folder: `.SAFE` directories, or their zips, which are read in place."""

    kind: Literal["safe"]
    path: Path


class GeotiffSource(FoundScenes):
    """GeoTIFF stacks: a folder of sidecars (`*.scene.json`), each beside the rasters that it describes."""

    kind: Literal["geotiff"]
    path: Path


class _StacItems(FoundScenes):
    """What both kinds of STAC source may say.

    Attributes:
        sign: How addresses are signed at each read: `planetary_computer`, or the address of a SAS token endpoint;
            where it is not said, by the host.
        download: Copy the bands first, to read them from disk.
    """

    sign: str | None = None
    download: bool = False


class StacCatalogSource(_StacItems):
    """A static STAC catalogue on disk (`catalog.json`), or a folder of item files."""

    kind: Literal["stac_catalog"]
    path: Path


class StacSource(_StacItems):
    """A search in a STAC API; at least one of `tiles`, `bbox` and `area` must limit it.

    Attributes:
        path: The API's address.
        collection: Its collection of Sentinel-2 L2A items.
        bbox: West, south, east, north in degrees; west may be east of east across the antimeridian.
        area: A GeoJSON file of the area.
    """

    kind: Literal["stac"]
    path: str = Field(pattern=r"^https?://")
    collection: str = "sentinel-2-l2a"
    bbox: tuple[float, float, float, float] | None = None
    area: Path | None = None

    @model_validator(mode="after")
    def _limited(self) -> "StacSource":
        if not (self.tiles or self.bbox or self.area):
            raise ValueError("a search needs tiles, bbox or area to limit it")
        return self


class ArchiveSource(Settings):
    """A labelled tile archive: a directory or zip of `class/name.{jpg,png,tif}`, with its published lists.

    Attributes:
        path: The directory or the zip.
        train: List file with one tile name a line; a role without a list is carved out of train by content hash.
        val: The same for validation.
        test: The same for test.
        pattern: A regular expression, searched in each image's path below the class folders, whose named groups tell
            what the name carries: `group` (the product that it was cut from), `date`, `lon` and `lat`, or `tile` (MGRS)
            with `row` and `col`, or `number` within its group. What lies in no group is known of no image.
    """

    kind: Literal["archive"]
    path: Path
    train: Path | None = None
    val: Path | None = None
    test: Path | None = None
    pattern: str | None = None


Source = Annotated[
    SampleSource | SafeSource | GeotiffSource | StacCatalogSource | StacSource | ArchiveSource,
    Field(discriminator="kind"),
]


class CloudSettings(Settings):
    """Which scene classification (SCL) values count as not clear, and how far clouds are grown.

    `mask` says where the classes come from: the product's own, or OmniCloudMask (extra `clouds`), in SCL's numbers.
    SCL classes: Sentinel-2 L2A product definition; 0 nodata, 1 saturated, 3 cloud shadow, 8 and 9 cloud, 10 cirrus.
    """

    mask: Literal["scl", "omnicloudmask"] = "scl"
    not_clear: tuple[int, ...] = (0, 1, 3, 8, 9, 10)
    dilate_m: float = Field(default=0.0, ge=0)
