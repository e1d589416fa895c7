"""The sidecar of a GeoTIFF stack, `NAME.scene.json`: what its rasters cannot say of themselves. See docs/sidecar.md."""

import re
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from agri_assets.errors import SceneError
from agri_assets.scenes.naming import BANDS, platform_name, tile_name
from agri_assets.scenes.radiometry import USER_BASELINE
from agri_assets.scenes.settings import TileName

SUFFIX = ".scene.json"
"""What the name of a sidecar ends in."""

SIZE_LIMIT = 2**20
"""Largest sidecar read, in bytes; one that names every band has about 1 kB."""

UNSAID_BASELINE = f"{USER_BASELINE[0]:02d}.{USER_BASELINE[1]:02d}"


def _utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError("not a time that a satellite can have seen") from None


def _platform(text: str) -> str:
    try:
        return platform_name(text)
    except SceneError as error:
        raise ValueError(str(error)) from None


def _band_name(name: str) -> str:
    if name not in BANDS:
        raise ValueError(f"not a band of Level-2A; these are {', '.join(BANDS)}")
    return name


def _inside(file: str) -> str:
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts or "://" in file or "\\" in file or not file.isprintable():
        raise ValueError("must be a path relative to the sidecar, inside its folder")
    return file


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Layer(_Strict):
    """One band of one raster file.

    Attributes:
        file: The GeoTIFF, relative to the sidecar and inside its folder.
        band: Number of the band within it, from 1.
    """

    file: Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(_inside)]
    band: int = Field(default=1, ge=1, le=65535)


class Sidecar(_Strict):
    """What a sidecar says; CRS, transform, size and resolution are the rasters' own.

    Attributes:
        sidecar: Version of this schema.
        tile: MGRS tile.
        acquired: Time of acquisition (ISO 8601); UTC where no zone is given.
        platform: Sentinel-2 satellite.
        level: Only Level-2A, surface reflectance, can be used.
        processing_baseline: ESA's; where it is not said, the number that a user's own processing carries.
        cloud_cover: Percent of the scene.
        quantification: Digital numbers per unit of reflectance.
        offset: What must still be added to the stored numbers; never guessed.
        offset_applied: Whether whoever made the pixels has added the offset already.
        nodata: Stored value that means no data; the rasters' own where it is not said, else 0.
        bands: The reflectance bands, by name.
        classification: The scene classification (SCL).
    """

    sidecar: Literal[1]
    tile: TileName
    acquired: Annotated[datetime, AfterValidator(_utc)]
    platform: Annotated[str, AfterValidator(_platform)]
    level: Literal["L2A"]
    processing_baseline: str = Field(default=UNSAID_BASELINE, pattern=r"^\d\d\.\d\d$")
    cloud_cover: float | None = Field(default=None, ge=0, le=100)
    quantification: Literal[10000]
    offset: Literal[0, -1000]
    offset_applied: bool = False
    nodata: int | None = Field(default=None, ge=0, le=65535)
    bands: dict[Annotated[str, AfterValidator(_band_name)], Layer] = Field(min_length=1)
    classification: Layer | None = None

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers, the classification last."""
        return (*self.bands.values(), *([self.classification] if self.classification else []))


class _TileAlone(BaseModel):
    tile: TileName


def load_sidecar(path: Path) -> Sidecar:
    """Read a sidecar.

    Raises:
        SceneError: It is missing, not JSON, or not as its schema asks; names the first key that is wrong.
    """
    try:
        return Sidecar.model_validate_json(_content(path))
    except ValidationError as error:
        raise SceneError(f"{path}: {_problem(error)}") from None


def sidecar_tile(path: Path) -> str | None:
    """The MGRS tile that a sidecar names, whatever else is wrong with it; None where it names none."""
    try:
        return tile_name(_TileAlone.model_validate_json(_content(path)).tile)
    except (SceneError, ValidationError):
        return None


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise SceneError(f"{path}: cannot be read ({error.strerror}); name a {SUFFIX} file") from None
    if len(content) > SIZE_LIMIT:
        raise SceneError(f"{path}: larger than the {SIZE_LIMIT} bytes allowed; not a sidecar")
    # some editors put a byte order mark first
    return content.removeprefix(b"\xef\xbb\xbf")


def _problem(error: ValidationError) -> str:
    """The first problem as one line: the key, its value and what is expected."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"] if part != "[key]")
    message = _one_line(first["msg"].removeprefix("Value error, "))
    match first["type"]:
        case "missing":
            return f"{where} is missing; it is never guessed, docs/sidecar.md says what it means"
        case "extra_forbidden":
            return f"unknown key {where!r}; remove it or check its spelling, docs/sidecar.md lists all keys"
        case "json_invalid" | "json_type" | "model_type":
            return f"not a JSON object ({message}); correct the file"
        case _:
            return f"{where} is {_shown(first['input'])}: {message[:1].lower()}{message[1:]}; correct it"


def _shown(value: Any) -> str:
    text = _one_line(repr(value))
    return text if len(text) <= 60 else f"{text[:60]}..."


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)
