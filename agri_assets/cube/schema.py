"""What a cube is: the description that its root attributes hold. Light to import, since every reader needs it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from agri_assets.scenes.grid import TileGrid

Units = Literal["reflectance", "dn8"]
"""`reflectance`: reflectance * 10000, offset removed; `dn8`: 8-bit picture values."""

Resampling = Literal["nearest", "bilinear"]

ATTRIBUTE = "agri_assets"
"""Root attribute that holds the description."""

SHARD_PIXELS = 1024
"""Edge of a shard in pixels; one JP2 block of a 10 m band."""

BANDS_ARRAY, CLASSES_ARRAY = "reflectance", "scl"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Slot(_Frozen):
    """One index of the time axis; slots are filled in order of arrival and never written twice.

    Attributes:
        slot: Index on the time axis.
        date: Day of acquisition (ISO), None in archives.
        scene_id: Of the scene, or of all scenes merged into it, joined by `+`.
        fingerprint: Of the source files and of how they were converted.
        active: False once another slot has taken its place, or its scene is no longer in the inventory.
        digest: Of the decoded pixels.
        resampling: How its coarser bands were brought to the grid.
    """

    slot: int
    date: str | None
    scene_id: str
    fingerprint: str
    active: bool
    digest: str
    resampling: Resampling = "nearest"


class CubeInfo(_Frozen):
    """The description of a cube, as its root attributes hold it.

    Attributes:
        tile: MGRS tile, or `archive`.
        bands: Band names in cube order.
        units: Of the pixels.
        tile_size: Edge of one sample, in pixels.
        shard_size: Edge of one shard, in pixels: a whole number of samples.
        height: Rows of pixels.
        width: Columns of pixels.
        grid: Where it lies; None for archives.
        resampling: How coarser bands of dates to come are brought to the grid; a slot tells how its own were.
        slots: The time axis, committed slots only.
    """

    tile: str
    bands: tuple[str, ...]
    units: Units
    tile_size: int
    shard_size: int
    height: int
    width: int
    grid: TileGrid | None
    resampling: Resampling = "nearest"
    slots: tuple[Slot, ...] = ()

    @property
    def active(self) -> tuple[Slot, ...]:
        """The slots that count, in order of date."""
        return tuple(
            sorted((slot for slot in self.slots if slot.active), key=lambda slot: (slot.date or "", slot.slot))
        )

    @property
    def shards(self) -> tuple[tuple[int, int], ...]:
        """Upper-left pixel (y, x) of every shard of one slot, row by row."""
        rows, cols = range(0, self.height, self.shard_size), range(0, self.width, self.shard_size)
        return tuple((y, x) for y in rows for x in cols)

    def shard_shape(self, y: int, x: int) -> tuple[int, int]:
        """Height and width of the shard whose upper-left pixel is (y, x); smaller at the far edges."""
        return min(self.shard_size, self.height - y), min(self.shard_size, self.width - x)


def shard_size(tile_size: int) -> int:
    """The multiple of `tile_size` nearest to 1024."""
    return max(1, round(SHARD_PIXELS / tile_size)) * tile_size
