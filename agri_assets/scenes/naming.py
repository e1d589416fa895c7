"""Names of tiles, bands, platforms and scenes, in the one form that everything below uses."""

import re
from datetime import UTC, datetime
from pathlib import Path

from agri_assets.errors import SceneError

TILE_IN_NAME = re.compile(r"(?:^|[_-])T?(\d{1,2}[C-HJ-NP-X][A-HJ-NP-Z][A-HJ-NP-V])(?=[_.]|$)")
"""An MGRS tile as product, granule and item names carry it: `_T33TWL_`, `_33TWL_`, `MGRS-33TWL`."""

BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
"""Reflectance bands of Level-2A (B10, cirrus, has no surface reflectance), in order of wavelength."""

CLASSIFICATION = "SCL"
"""The scene classification layer."""

COMMON_NAMES = {
    "coastal": "B01",
    "blue": "B02",
    "green": "B03",
    "red": "B04",
    "rededge1": "B05",
    "rededge2": "B06",
    "rededge3": "B07",
    "rededge071": "B05",
    "rededge075": "B06",
    "rededge078": "B07",
    "nir": "B08",
    "nir08": "B8A",
    "nir09": "B09",
    "swir16": "B11",
    "swir22": "B12",
    "scl": "SCL",
}
"""STAC common names as Earth Search uses them for asset keys, and the STAC EO extension's red-edge names."""

RESOLUTIONS = {"B02": 10.0, "B03": 10.0, "B04": 10.0, "B08": 10.0, "B01": 60.0, "B09": 60.0}
"""Native resolutions in metres; every band not named here is at 20 m (Sentinel-2 products specification)."""


def native_resolution(band: str) -> float:
    """Native pixel size of a band in metres."""
    return RESOLUTIONS.get(band, 20.0)


def tile_name(text: str) -> str:
    """An MGRS tile with its zone in two digits: `1WCP` becomes `01WCP`."""
    return text.upper().removeprefix("MGRS-").removeprefix("T").zfill(5)


def tile_in(text: str) -> str | None:
    """The MGRS tile that a product, granule or item name carries, if any."""
    found = TILE_IN_NAME.search(text)
    return tile_name(found[1]) if found else None


def platform_name(text: str, where: str = "") -> str:
    """`sentinel-2a` from any spelling of it (`Sentinel-2A`, `SENTINEL2A`, `S2A`).

    Args:
        text: As the metadata have it.
        where: The document, for messages.

    Raises:
        SceneError: It is no Sentinel-2 satellite.
    """
    found = re.fullmatch(r"(?:sentinel[-_ ]?|s)2([a-d])", text.strip().lower())
    if not found:
        said = f"{where}: platform {text[:40]!r}" if where else f"platform {text[:40]!r}"
        raise SceneError(f"{said} is not a Sentinel-2 satellite; only Sentinel-2 products can be used")
    return f"sentinel-2{found[1]}"


def scene_id(platform: str, tile: str, acquired: datetime, sequence: int = 0) -> str:
    """`S2A_33TWL_20230815_0_L2A`: platform, tile, day (UTC), sequence within the day, level."""
    return f"S2{platform[-1].upper()}_{tile}_{acquired:%Y%m%d}_{sequence}_L2A"


def with_sequence(scene: str, sequence: int) -> str:
    """The same scene name with another sequence number."""
    platform, tile, day, _, level = scene.split("_")
    return f"{platform}_{tile}_{day}_{sequence}_{level}"


def acquisition(platform: str, tile: str, datatake: str, datastrip: str) -> str:
    """What two processings of one acquisition share.

    Two datastrips of one datatake that meet in a tile are two acquisitions: each covers its own part of it.
    """
    return "/".join((platform, tile, datatake, datastrip))


def utc_time(value: str, path: Path | str) -> datetime:
    """An ISO 8601 time in UTC; one without a zone is UTC already.

    Raises:
        SceneError: It is not a time.
    """
    try:
        found = datetime.fromisoformat(value)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    # a zone may move the first and the last day of all out of the calendar
    except (ValueError, OverflowError):
        raise SceneError(f"{path}: {value[:40]!r} is not a time of acquisition; the metadata are broken") from None
