"""One date of a tile into one slot: a Dask graph of tasks that each own whole shards."""

import uuid
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from dask.delayed import delayed

from agri_assets.cube.commit import claimed, require_claim
from agri_assets.cube.decode import Part, decode, fill
from agri_assets.cube.desk import Desk, desk_of
from agri_assets.cube.graph import PixelMeter, require_sane
from agri_assets.cube.looks import Thinning
from agri_assets.cube.manifest import ShardRecord
from agri_assets.cube.plan import CLASSES, BandPlan, plan_scene
from agri_assets.cube.raster import Rasters
from agri_assets.cube.schema import CubeInfo
from agri_assets.cube.shards import shard_file
from agri_assets.cube.workers import Threads, Workers
from agri_assets.errors import CubeError
from agri_assets.objects import size_of
from agri_assets.progress import meter
from agri_assets.scenes.record import SceneRecord

Granule = tuple[BandPlan, ...]


Parts = Mapping[str, Part]
"""Bands decoded for several shards at once, by number of the granule and band name."""


@dataclass(frozen=True)
class SlotPixels:
    """What came out of one slot while its pixels were in memory.

    Attributes:
        shards: Records of all shards of both arrays.
        clipped: Valid pixels that were clipped to 1.
        valid: (height, width) bool, pixels with data in all bands.
        classes: (height, width) uint8, the scene classification.
        look: (band, height, width) uint16, the pixels thinned to the size of a picture.
    """

    shards: tuple[ShardRecord, ...]
    clipped: int
    valid: npt.NDArray[np.bool_]
    classes: npt.NDArray[np.uint8]
    look: npt.NDArray[np.uint16]


def build_slot(
    root: Path, info: CubeInfo, slot: int, records: Sequence[SceneRecord], workers: Workers | None = None
) -> SlotPixels:
    """Decode, convert, merge and write all shards of one slot; nothing becomes visible.

    Args:
        root: The cube.
        info: The cube with this slot already counted in.
        slot: Index on the time axis.
        records: The scenes of one day, in order: where the first has no data the next fills in.
        workers: Where to do it; threads of this process by default.

    Raises:
        SceneError: A raster cannot be read.
        CubeError: Workers were lost, or write where this process does not see it.
    """
    rasters = Rasters()
    try:
        granules = tuple(plan_scene(record, info, rasters) for record in records)
    finally:
        rasters.close()
    require_sane(len(info.shards) + sum(len(plans) for plans in granules), records[0].scene_id)
    workers, job = workers or Threads(), SlotJob(uuid.uuid4().hex, root, info, slot, granules)
    label = f"{info.tile} {info.slots[slot].date}: building"
    try:
        with claimed(root, job.name), meter(label, len(info.shards), "shards") as counter:
            pixels = _run(job, workers, PixelMeter(counter))
    finally:
        workers.leave(job.name)
    if workers.apart:
        _require_seen(job, pixels.shards)
    return pixels


@dataclass(frozen=True)
class _Shard:
    place: tuple[int, int]
    records: tuple[ShardRecord, ...]
    clipped: int
    valid: npt.NDArray[np.bool_]
    classes: npt.NDArray[np.uint8]
    look: npt.NDArray[np.uint16]


@dataclass(frozen=True)
class SlotJob:
    """All that a worker must be told to build shards of one slot.

    Attributes:
        name: Unique among all processes.
        root: The cube.
        info: The cube with this slot already counted in.
        slot: Index on the time axis.
        granules: How to read the scenes.
    """

    name: str
    root: Path
    info: CubeInfo
    slot: int
    granules: tuple[Granule, ...]

    def desk(self) -> AbstractContextManager[Desk]:
        """What this process has open for the job."""
        return desk_of(self.name, self.root, self.info, self.slot)


def _run(job: SlotJob, workers: Workers, progress: PixelMeter) -> SlotPixels:
    """Compute the slot's graph, and put its shards together while others are built."""
    # as a node of the graph it is sent to a worker once, not with each task
    told = delayed(job, traverse=False)
    whole = {
        f"{number} {plan.name}": delayed(_decode_rows, pure=False)(told, plan, (0, plan.place.shape[0]))
        for number, plans in enumerate(job.granules)
        for plan in plans
        if plan.whole
    }
    rows = {y: _row_parts(job, told, y) if workers.shared else {} for y in sorted({y for y, _ in job.info.shards})}
    tasks = [delayed(_build_shard, pure=False)(told, y, x, {**whole, **rows[y]}) for y, x in job.info.shards]
    valid = np.zeros((job.info.height, job.info.width), dtype=bool)
    classes = np.zeros(valid.shape, dtype=np.uint8)

    def finished(result: _Shard | int) -> None:
        if isinstance(result, _Shard):
            (y, x), (height, width) = result.place, result.valid.shape
            valid[y : y + height, x : x + width] = result.valid
            classes[y : y + height, x : x + width] = result.classes
            progress.advance(1, result.valid.size * (2 * len(job.info.bands) + 1))

    shared = [part for parts in (whole, *rows.values()) for part in parts.values()]
    clips = [delayed(_clipped, pure=False)(part) for part in shared]
    results = workers.run([*tasks, *clips], job.info.tile, finished)
    shards, clipped = results[: len(tasks)], sum(results[len(tasks) :])
    records = tuple(record for shard in shards for record in shard.records)
    look = Thinning.of(job.info).join((shard.place, shard.look) for shard in shards)
    return SlotPixels(records, clipped + sum(shard.clipped for shard in shards), valid, classes, look)


def _row_parts(job: SlotJob, told: Any, y: int) -> dict[str, Any]:
    """Tasks that decode the first granule's rows for all shards that begin at row `y`, where its blocks fit no shard.

    Between processes the pixels would have to travel, so there each shard decodes its own.
    """
    height = job.info.shard_shape(y, 0)[0]
    tasks = {}
    for plan in job.granules[0]:
        axis, across = plan.axes(y, 0, height, job.info.width)
        if axis and across and not plan.whole and not plan.aligned:
            tasks[f"0 {plan.name}"] = delayed(_decode_rows, pure=False)(told, plan, axis.span(plan.method))
    return tasks


def _require_seen(job: SlotJob, records: Sequence[ShardRecord]) -> None:
    """Refuse shards that workers have written to a place of their own."""
    stored = size_of(job.root)
    for record in records:
        file = shard_file(job.root, job.info, record.array, job.slot, record.y, record.x)
        if record.state == "data" and stored(str(file.relative_to(job.root))) != record.size:
            raise CubeError(f"{file}: a worker wrote it, but it is not here; all hosts must share the data root")


def _decode_rows(job: SlotJob, plan: BandPlan, rows: tuple[int, int]) -> Part:
    """A raster from one row to another, in its whole width."""
    with job.desk() as desk:
        return decode(desk.rasters, plan, (*rows, 0, plan.place.shape[1]))


def _build_shard(job: SlotJob, y: int, x: int, parts: Parts) -> _Shard:
    shape = (len(job.info.bands), *job.info.shard_shape(y, x))
    with job.desk() as desk:
        pixels = desk.scratch(shape)
        classes, clipped = _granule(job, desk, 0, y, x, parts, pixels)
        for number in range(1, len(job.granules)):
            if pixels.all():
                break
            more = np.empty(shape, dtype=np.uint16)
            more_classes, more_clipped = _granule(job, desk, number, y, x, parts, more)
            take = (pixels == 0).any(axis=0) & (more > 0).all(axis=0)
            np.copyto(pixels, more, where=take)
            np.copyto(classes, more_classes, where=take)
            clipped += more_clipped
        require_claim(job.root, job.name)
        records = (desk.pixels.write(y, x, pixels), desk.classes.write(y, x, classes))
    look = Thinning.of(job.info).part(pixels, y, x)
    return _Shard((y, x), records, clipped, pixels.min(axis=0) > 0, classes, look)


def _granule(
    job: SlotJob, desk: Desk, number: int, y: int, x: int, parts: Parts, pixels: npt.NDArray[np.uint16]
) -> tuple[npt.NDArray[np.uint8], int]:
    """One granule's classes (y, x) and clipped count of one shard; its pixels (band, y, x) go where they are wanted."""
    classes = np.zeros(pixels.shape[1:], dtype=np.uint8)
    clipped = 0
    for plan in job.granules[number]:
        target = classes if plan.name == CLASSES else pixels[job.info.bands.index(plan.name)]
        clipped += fill(desk.rasters, target, plan, y, x, parts.get(f"{number} {plan.name}"))
    return classes, clipped


def _clipped(part: Part) -> int:
    return part.clipped
