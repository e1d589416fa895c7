"""The record of one product: everything later stages need to know, whatever kind of source it came from."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

Affine = tuple[float, float, float, float, float, float]
"""GDAL-free affine coefficients (a, b, c, d, e, f): x = a*col + b*row + c, y = d*col + e*row + f."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class BandRecord(_Frozen):
    """Where one band's pixels are and how to read them.

    Attributes:
        href: A path, a `/vsizip/` path or an address, without any signature; `remote.raster.open_raster` opens it.
        resolution: Pixel size in metres.
        offset: What must still be added to stored digital numbers (0 or -1000).
        scale: Reflectance per digital number after the offset (0.0001).
        nodata: Stored value that means no data.
        index: Number of the band within its raster, from 1.
        sign: How its address is signed at each read; see `remote.signing`. Never a secret itself.
    """

    href: str
    resolution: float
    offset: int = 0
    scale: float = 0.0001
    nodata: int = 0
    index: int = 1
    sign: str = ""


class Radiometry(_Frozen):
    """The decision about the reflectance offset, with its evidence.

    Attributes:
        offset: What must still be added to stored digital numbers.
        decision: One sentence: what was decided and by which rule.
        evidence: The metadata fields that led there, with their values.
    """

    offset: int
    decision: str
    evidence: dict[str, str | int | float | bool | None]


class SceneRecord(_Frozen):
    """One usable product (contract 3).

    Attributes:
        scene_id: `S2A_33TWL_20230815_0_L2A` form: platform, tile, day, sequence, level.
        source: `safe`, `safe_zip`, `stac` or `geotiff`.
        location: The product's own path or address.
        transform: Affine of the finest band.
        shape: (height, width) of the finest band.
        bands: Reflectance bands by name (`B02`).
        classification: The scene classification (SCL), where there is one.
        footprint: GeoJSON geometry, EPSG:4326.
        readable: False where rasters are absent (metadata only).
        fingerprint: Changes when the product's files change.
        acquisition: What two processings of the same acquisition share: platform, tile, datatake and datastrip start.
        generated: When the product was made (ISO 8601), which orders two processings by one baseline; may be empty.
    """

    scene_id: str
    source: Literal["safe", "safe_zip", "stac", "geotiff"]
    location: str
    platform: str
    mgrs_tile: str
    level: Literal["L2A"]
    acquired: datetime
    processing_baseline: str
    cloud_cover: float | None
    crs: str
    transform: Affine
    shape: tuple[int, int]
    bands: dict[str, BandRecord]
    classification: BandRecord | None
    radiometry: Radiometry
    footprint: dict[str, object]
    readable: bool
    fingerprint: str
    acquisition: str = ""
    generated: str = ""


class SceneState(StrEnum):
    """What became of a scene that the source lists."""

    PRESENT = "present"
    SUPERSEDED = "superseded"
    REFUSED = "refused"


class InventoryEntry(_Frozen):
    """One scene of a tile's inventory.

    Attributes:
        name: As the source lists it.
        state: What became of it.
        reason: Why it is not present.
        record: None when it was refused before it could be read.
        stamp: The source's stamp when it was verified; while that stands, it is not verified again.
        remark: What people should know of a scene that is present.
        transient: Refused for what may pass by itself (a host that does not answer); tried again at every run.
    """

    name: str
    state: SceneState
    reason: str | None = None
    record: SceneRecord | None = None
    stamp: str = ""
    remark: str | None = None
    transient: bool = False


class Inventory(_Frozen):
    """Every scene the source lists for one tile, in order of acquisition, and what became of it.

    Attributes:
        tile: The MGRS tile.
        entries: One per listed scene.
        checked: Digest of what scenes were verified against (bands, grid, code); another one voids every stamp.
        left_out: Scenes that the source lists and the collection does not want (its dates, its cloud limit).
    """

    tile: str
    entries: tuple[InventoryEntry, ...]
    checked: str = ""
    left_out: int = 0

    def of(self, state: SceneState) -> tuple[InventoryEntry, ...]:
        """The entries of one state."""
        return tuple(entry for entry in self.entries if entry.state is state)

    @property
    def settled(self) -> bool:
        """Whether nothing was refused that may be there by itself the next time."""
        return not any(entry.transient for entry in self.entries)

    @property
    def present(self) -> tuple[SceneRecord, ...]:
        """The records of the scenes to be built into the cube, oldest first."""
        records = [entry.record for entry in self.entries if entry.state is SceneState.PRESENT and entry.record]
        return tuple(sorted(records, key=lambda record: (record.acquired, record.scene_id)))
