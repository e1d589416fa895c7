"""What a collection declares about its source of scenes or tiles."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from agri_assets.settings import Settings

MGRS_TILE = r"^(0?[1-9]|[1-5][0-9]|60)[C-HJ-NP-X][A-HJ-NP-Z][A-HJ-NP-V]$"
"""Pattern of an MGRS 100 km tile name such as `33TWL`."""

TileName = Annotated[str, Field(pattern=MGRS_TILE)]


class SampleSource(Settings):
    """Sample scenes, written by the project itself the first time they are asked for."""

    kind: Literal["sample"]
    tiles: tuple[TileName, ...] = ("31TCJ", "31TDJ")
    dates: int = Field(default=2, ge=1)
    size: int = Field(default=2048, ge=384, le=10980)
    seed: int = 0
    cloudy_dates: int = Field(default=1, ge=0)
    damaged: int = Field(default=0, ge=0)
    path: Path | None = None


class SafeSource(Settings):
    """Sentinel-2 L2A products (`.SAFE` directories) in a folder; `tiles` limits which are used."""

    kind: Literal["safe"]
    path: Path
    tiles: tuple[TileName, ...] = ()


class StacCatalogSource(Settings):
    """A static STAC catalogue on disk (`catalog.json`), or a folder of item files."""

    kind: Literal["stac_catalog"]
    path: Path
    tiles: tuple[TileName, ...] = ()


class ArchiveSource(Settings):
    """A labelled tile archive: a directory or zip of `class/name.{jpg,png,tif}`, with its published lists.

    Attributes:
        path: The directory or the zip.
        train: List file with one tile name a line; a role without a list is carved out of train by content hash.
        val: The same for validation.
        test: The same for test.
    """

    kind: Literal["archive"]
    path: Path
    train: Path | None = None
    val: Path | None = None
    test: Path | None = None


Source = Annotated[SampleSource | SafeSource | StacCatalogSource | ArchiveSource, Field(discriminator="kind")]


class CloudSettings(Settings):
    """Which scene classification (SCL) values count as not clear, and how far clouds are grown.

    SCL classes: Sentinel-2 L2A product definition; 0 nodata, 1 saturated, 3 cloud shadow, 8 and 9 cloud, 10 cirrus.
    """

    not_clear: tuple[int, ...] = (0, 1, 3, 8, 9, 10)
    dilate_m: float = Field(default=0.0, ge=0)
