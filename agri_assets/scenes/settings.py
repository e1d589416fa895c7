"""What a collection declares about its source of scenes or tiles."""

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from agri_assets.settings import Settings

MGRS_TILE = r"(0?[1-9]|[1-5][0-9]|60)[C-HJ-NP-X][A-HJ-NP-Z][A-HJ-NP-V]"
"""Pattern of an MGRS 100 km tile name such as `33TWL`."""


def _tile(value: str) -> str:
    if not re.fullmatch(MGRS_TILE, value):
        raise ValueError(f"{value!r} is not an MGRS tile; expected a name such as 33TWL")
    return value


TileName = Annotated[str, AfterValidator(_tile)]


def _listed(value: object) -> object:
    """`33TWL, 33TWM` as a list: what comes out of an environment variable."""
    return value.replace(",", " ").split() if isinstance(value, str) else value


def _none_if_blank(value: object) -> object:
    """An unset variable with an empty default means that nothing was said."""
    return None if isinstance(value, str) and not value.strip() else value


def _interval(value: str) -> str:
    days = value.split("/")
    try:
        first, last = (date.fromisoformat(day) for day in days)
    except ValueError:
        raise ValueError(f"{value!r} is not a first and a last day such as 2023-04-01/2023-10-31") from None
    if first > last:
        raise ValueError(f"the first day, {first}, is after the last, {last}")
    return value


def _local(value: object) -> object:
    if isinstance(value, str) and "://" in value:
        raise ValueError(f"{value!r} is an address; only a path on this machine works here")
    return value


LocalPath = Annotated[Path, BeforeValidator(_local)]


def _api(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError(
            f"{value!r} is not the address of a STAC API, such as https://earth-search.aws.element84.com/v1"
        )
    return value.rstrip("/")


TileNames = Annotated[tuple[TileName, ...], BeforeValidator(_listed)]
Dates = Annotated[Annotated[str, AfterValidator(_interval)] | None, BeforeValidator(_none_if_blank)]
"""First and last day, both counted in: `2023-04-01/2023-10-31`."""

Percent = Annotated[Annotated[float, Field(ge=0, le=100)] | None, BeforeValidator(_none_if_blank)]


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
    path: LocalPath


class GeotiffSource(FoundScenes):
    """GeoTIFF stacks: a folder of sidecars (`*.scene.json`), each beside the rasters that it describes."""

    kind: Literal["geotiff"]
    path: LocalPath


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
    path: LocalPath


class StacSource(_StacItems):
    """A search in a STAC API; at least one of `tiles`, `bbox` and `area` must limit it.

    Attributes:
        path: The API's address.
        collection: Its collection of Sentinel-2 L2A items.
        bbox: West, south, east, north in degrees; west may be east of east across the antimeridian.
        area: A GeoJSON file of the area.
    """

    kind: Literal["stac"]
    path: Annotated[str, AfterValidator(_api)]
    collection: str = "sentinel-2-l2a"
    bbox: tuple[float, float, float, float] | None = None
    area: LocalPath | None = None

    @model_validator(mode="after")
    def _limited(self) -> "StacSource":
        if not (self.tiles or self.bbox or self.area):
            raise ValueError("a search needs tiles, bbox or area to limit it")
        return self


NAME_FACTS = ("group", "date", "lon", "lat", "tile", "row", "col", "number")
"""What the name of an archive's image may carry, by the names of a pattern's groups."""

TOGETHER = (("lon", "lat"), ("lat", "lon"), ("row", "tile"), ("col", "tile"), ("tile", "row"), ("tile", "col"))
"""Groups of a pattern that say something only with another one."""


def _usable_pattern(pattern: str | None) -> str | None:
    if pattern is None:
        return None
    if "\n" in pattern or "\r" in pattern:
        raise ValueError("the pattern must be one line")
    try:
        names = re.compile(pattern).groupindex
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"the pattern is no regular expression ({error})") from None
    known = ", ".join(NAME_FACTS)
    if unknown := sorted(set(names) - set(NAME_FACTS)):
        raise ValueError(f"the pattern names a group {unknown[0]!r}; it may name {known}")
    if not names:
        raise ValueError(f"the pattern names no group, such as (?P<group>...); it may name {known}")
    for name, other in TOGETHER:
        if name in names and other not in names:
            more = "; a tile alone is a `group`" if name == "tile" else ""
            raise ValueError(f"the pattern has {name!r} without {other!r}, which tells no position{more}")
    if "number" in names and "group" not in names:
        raise ValueError("the pattern has 'number' without the 'group' that it counts in")
    return pattern


NamePattern = Annotated[str | None, BeforeValidator(_none_if_blank), AfterValidator(_usable_pattern)]


class ArchiveSource(Settings):
    """A labelled tile archive: a directory or zip of `class/name.{jpg,png,tif}`, with its published lists.

    Attributes:
        path: The directory or the zip.
        train: List file with one tile name a line; a role without a list is carved out of train: by ground cell where
            the ground is known, by product where only that is, else by content hash.
        val: The same for validation.
        test: The same for test.
        pattern: A regular expression, searched in each image's path as lists name it (`class/name.tif`), whose named
            groups tell what the path carries: `group`, what it was cut from (a product; better the MGRS tile or the
            orbit where products share ground); `date` (20180721, 2018-07-21 or 20180721T053721); `lon` and `lat` of its
            centre in degrees; or `tile` (MGRS) with `row` and `col`, counted from 0 at the tile's upper-left corner in
            steps of `tile_size` pixels of 10 m; `number`, its number within the group, which tells no position. What
            lies in no group is known of no image. Georeferenced GeoTIFFs tell their position themselves.
    """

    kind: Literal["archive"]
    path: LocalPath
    train: LocalPath | None = None
    val: LocalPath | None = None
    test: LocalPath | None = None
    pattern: NamePattern = None


Source = Annotated[
    SampleSource | SafeSource | GeotiffSource | StacCatalogSource | StacSource | ArchiveSource,
    Field(discriminator="kind"),
]


class CloudSettings(Settings):
    """Which scene classification (SCL) values count as not clear, and how far clouds are grown.

    `mask` says where the classes come from: the product's own, or OmniCloudMask (extra `clouds`), in SCL's numbers;
    `weights` is a folder that holds OmniCloudMask's weights, which are fetched without it.
    SCL classes: Sentinel-2 L2A product definition; 0 nodata, 1 saturated, 3 cloud shadow, 8 and 9 cloud, 10 cirrus.
    """

    mask: Literal["scl", "omnicloudmask"] = "scl"
    weights: Path | None = None
    not_clear: tuple[int, ...] = (0, 1, 3, 8, 9, 10)
    dilate_m: float = Field(default=0.0, ge=0)
