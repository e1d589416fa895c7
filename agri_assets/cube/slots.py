"""The time axis of a cube: which slots are wanted, which are there, and how one is appended."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from agri_assets.cube.band_figures import band_figures
from agri_assets.cube.commit import clear_uncommitted, commit_root, write_coordinates
from agri_assets.cube.looks import write_look
from agri_assets.cube.manifest import (
    BandFigures,
    ShardRecord,
    SlotManifest,
    manifest_folder,
    manifest_path,
    write_manifest,
)
from agri_assets.cube.samples import write_samples
from agri_assets.cube.scene_shards import SlotPixels, build_slot
from agri_assets.cube.schema import BANDS_ARRAY, CLASSES_ARRAY, CubeInfo, Resampling, Slot
from agri_assets.cube.workers import Workers
from agri_assets.cube.zarr_metadata import root_document
from agri_assets.errors import SceneError
from agri_assets.scenes.record import SceneRecord
from agri_assets.scenes.settings import CloudSettings
from agri_assets.store.commit import Guarded
from agri_assets.store.fingerprint import fingerprint

logger = logging.getLogger(__name__)

PIXELS_VERSION = "2"
"""Raised when the same scene would make other pixels; every date is then built anew."""


@dataclass(frozen=True)
class Wanted:
    """One date that should be in the cube.

    Attributes:
        date: Day of acquisition (ISO).
        records: Its scenes, in the order in which they are merged.
        fingerprint: Of the source files and of how they are converted.
        resampling: How their coarser bands are brought to the grid.
    """

    date: str
    records: tuple[SceneRecord, ...]
    fingerprint: str
    resampling: Resampling

    @property
    def scene_id(self) -> str:
        """The scene's name, or those of all merged scenes joined by `+`."""
        return "+".join(record.scene_id for record in self.records)

    def slot(self, number: int, digest: str = "") -> Slot:
        """This date as a slot of the time axis."""
        return Slot(
            slot=number,
            date=self.date,
            scene_id=self.scene_id,
            fingerprint=self.fingerprint,
            active=True,
            digest=digest,
            resampling=self.resampling,
        )


def wanted_dates(records: Sequence[SceneRecord], info: CubeInfo) -> tuple[Wanted, ...]:
    """One entry per day; granules of one day are merged, the earliest first."""
    days: dict[str, list[SceneRecord]] = defaultdict(list)
    for record in sorted(records, key=lambda record: (record.acquired, record.scene_id)):
        days[record.acquired.date().isoformat()].append(record)
    return tuple(
        Wanted(day, tuple(group), _fingerprint(group, info), info.resampling) for day, group in sorted(days.items())
    )


def settle(
    info: CubeInfo, wanted: Sequence[Wanted], damaged: frozenset[int] = frozenset()
) -> tuple[CubeInfo, tuple[Wanted, ...], tuple[Slot, ...]]:
    """Compare what is there with what is wanted.

    Args:
        info: The cube.
        wanted: The dates that should be in it.
        damaged: Slots that hold what is wanted no more.

    Returns:
        The cube with returning dates active again and vanished ones inactive, the dates that must be built, and the
        slots of vanished dates. A date whose scene changed keeps its old slot until the new one is whole.
    """
    by_date = {item.date: item for item in wanted}
    # the last slot that was made of what is wanted; after a change and back again, or a repair, there are several, and
    # of the earlier ones nobody knows any more whether they are sound
    last: dict[str | None, int] = {
        slot.date: slot.slot
        for slot in info.slots
        if slot.date in by_date and by_date[slot.date].fingerprint == slot.fingerprint
    }
    holds = {date: slot for date, slot in last.items() if slot not in damaged}
    slots = tuple(slot.model_copy(update={"active": _counts(slot, by_date, holds)}) for slot in info.slots)
    missing = tuple(item for item in wanted if item.date not in holds)
    gone = tuple(slot for slot in info.slots if slot.active and slot.date not in by_date)
    return info.model_copy(update={"slots": slots}), missing, gone


def _counts(slot: Slot, wanted: Mapping[str, Wanted], holds: Mapping[str | None, int]) -> bool:
    if slot.date in holds:
        return holds[slot.date] == slot.slot
    return slot.active and slot.date in wanted


def append(root: Guarded, info: CubeInfo, wanted: Wanted, clouds: CloudSettings, workers: Workers) -> CubeInfo:
    """Build one date into a new slot and commit it; an older slot of the date becomes inactive in the same instant.

    Raises:
        SceneError: A raster cannot be read; the cube stays as it was, and a manifest says why.
        StoreError: The disk is full or refuses; the cube stays as it was.
    """
    cube = root.path.parent
    try:
        return _append(root, info, wanted, clouds, workers)
    except SceneError as error:
        clear_uncommitted(cube)
        write_manifest(_failure(cube, wanted), _failed(wanted, info, str(error)))
        raise
    except Exception:
        # half a date would take the space that is missing
        clear_uncommitted(cube)
        raise


def _append(root: Guarded, info: CubeInfo, wanted: Wanted, clouds: CloudSettings, workers: Workers) -> CubeInfo:
    cube, number = root.path.parent, len(info.slots)
    longer = info.model_copy(update={"slots": (*info.slots, wanted.slot(number))})
    pixels = build_slot(cube, longer, number, wanted.records, workers)
    _failure(cube, wanted).unlink(missing_ok=True)
    manifest = _manifest(wanted, number, pixels, band_figures(longer, pixels, clouds))
    with ThreadPoolExecutor(1) as pool:
        look = pool.submit(write_look, cube, longer, number, pixels.look)
        write_samples(cube, longer, number, pixels, clouds)
        look.result()
    write_manifest(manifest_path(cube, number), manifest)
    earlier = [slot.model_copy(update={"active": slot.active and slot.date != wanted.date}) for slot in info.slots]
    committed = info.model_copy(update={"slots": (*earlier, wanted.slot(number, manifest.digest))})
    commit(root, committed)
    logger.info("%s %s: committed as slot %d (%s)", info.tile, wanted.date, number, wanted.scene_id)
    return committed


def commit(root: Guarded, info: CubeInfo, mend: bool = False) -> None:
    """Make the cube what `info` says; its shards must be there already. `mend` looks at all coordinates, too."""
    document = root_document(info)
    write_coordinates(root.path.parent, info, document, mend)
    commit_root(root, document)


def _failure(cube: Path, wanted: Wanted) -> Path:
    return manifest_folder(cube) / f"failed-{wanted.date}.json"


def _manifest(wanted: Wanted, number: int, pixels: SlotPixels, bands: tuple[BandFigures, ...]) -> SlotManifest:
    return SlotManifest(
        slot=number,
        date=wanted.date,
        scene_id=wanted.scene_id,
        fingerprint=wanted.fingerprint,
        clipped=pixels.clipped,
        bands=bands,
        shards=pixels.shards,
    )


def _failed(wanted: Wanted, info: CubeInfo, reason: str) -> SlotManifest:
    """None of a slot that could not be filled is committed, so every shard of it counts as failed."""
    places = [(name, *place) for name in (BANDS_ARRAY, CLASSES_ARRAY) for place in info.shards]
    return SlotManifest(
        slot=len(info.slots),
        date=wanted.date,
        scene_id=wanted.scene_id,
        fingerprint=wanted.fingerprint,
        reason=reason,
        shards=tuple(ShardRecord(array=name, y=y, x=x, state="failed") for name, y, x in places),
    )


def _fingerprint(records: Sequence[SceneRecord], info: CubeInfo) -> str:
    bands = [
        {
            name: (band.offset, band.scale, band.nodata, band.index)
            for name, band in record.bands.items()
            if name in info.bands
        }
        for record in records
    ]
    return fingerprint(
        scenes=[record.fingerprint for record in records],
        bands=bands,
        order=info.bands,
        tile_size=info.tile_size,
        grid=info.grid,
        resampling=info.resampling,
        code=PIXELS_VERSION,
    )
