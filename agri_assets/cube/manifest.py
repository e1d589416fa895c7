"""The manifest of a slot: what each of its shard files holds, so that loss and damage can be told from emptiness."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from agri_assets.errors import CubeError, StoreError
from agri_assets.store.commit import write_json
from agri_assets.store.fingerprint import fingerprint

ShardState = Literal["data", "empty", "failed"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class ShardRecord(_Frozen):
    """One shard of one array in one slot.

    Attributes:
        array: `reflectance` or `scl`.
        y: First pixel row.
        x: First pixel column.
        state: `data` has a file, `empty` (all zero) has none, `failed` could not be read from its source.
        digest: SHA-256 of the decoded pixels.
        sha256: Of the stored file.
        size: Of the stored file, bytes.
    """

    array: str
    y: int
    x: int
    state: ShardState
    digest: str | None = None
    sha256: str | None = None
    size: int = 0


class BandFigures(_Frozen):
    """What the clear pixels of one band are like, by a few thousand of them that lie evenly in the date.

    Attributes:
        band: Its name.
        mean: Mean value, in stored counts.
        std: Standard deviation.
        low: First percentile.
        median: The value in the middle.
        high: Last percentile.
    """

    band: str
    mean: float
    std: float
    low: float
    median: float
    high: float


class SlotManifest(_Frozen):
    """Everything known about one slot once its shards are written.

    Attributes:
        slot: Index on the time axis.
        date: Day of acquisition, None in archives.
        scene_id: As in the cube's description.
        fingerprint: As in the cube's description.
        clipped: Valid pixels whose reflectance was below 1 and became 1, over all bands.
        reason: Why the slot could not be filled, if a shard failed.
        bands: Figures of its bands; empty where no pixel is clear, in archives, and by older versions.
        shards: Its shards.
    """

    slot: int
    date: str | None
    scene_id: str
    fingerprint: str
    clipped: int = 0
    reason: str | None = None
    bands: tuple[BandFigures, ...] = ()
    shards: tuple[ShardRecord, ...]

    @property
    def digest(self) -> str:
        """Digest of the decoded pixels of the whole slot, whatever the order in which its shards were written."""
        return fingerprint(shards=sorted((shard.array, shard.y, shard.x, shard.digest) for shard in self.shards))

    @property
    def stored_bytes(self) -> int:
        """Bytes of all its files."""
        return sum(shard.size for shard in self.shards)


def manifest_folder(cube: Path) -> Path:
    """Where a cube's manifests are: beside it, since Zarr readers take every folder in a cube for an array."""
    return cube.with_suffix(".manifest")


def manifest_path(cube: Path, slot: int) -> Path:
    """The manifest of one slot."""
    return manifest_folder(cube) / f"slot-{slot:05d}.json"


def samples_path(cube: Path, slot: int) -> Path:
    """The figures of every position of one slot (Parquet): what the tile index is made from."""
    return manifest_folder(cube) / f"slot-{slot:05d}.parquet"


def damage_path(cube: Path) -> Path:
    """Which slots `verify` found damaged, by number, with the digests that they should have."""
    return manifest_folder(cube) / "damaged.json"


def patrol_path(cube: Path) -> Path:
    """How far the check of each run has read on."""
    return manifest_folder(cube) / "patrol.json"


def write_manifest(path: Path, manifest: SlotManifest) -> None:
    """Write a manifest atomically."""
    write_json(path, manifest.model_dump(mode="json"))


def read_manifest(path: Path) -> SlotManifest:
    """Read a manifest.

    Raises:
        CubeError: It is not one.
        StoreError: It is missing.
    """
    try:
        # not by way of Python's own JSON: a build with nothing to do reads one of each date
        return SlotManifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise StoreError(f"{path}: no such file; materialise what writes it first") from None
    except ValidationError as error:
        raise CubeError(f"{path}: not a manifest ({error.errors()[0]['msg']}); materialise tile_cube again") from None
