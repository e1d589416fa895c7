"""One date of a tile into one slot: a Dask graph of tasks that each own whole shards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from dask.delayed import delayed

from agri_assets.cube.graph import SharedMeter, require_sane, run_graph
from agri_assets.cube.looks import Thinning
from agri_assets.cube.manifest import ShardRecord
from agri_assets.cube.plan import CLASSES, BandPlan, plan_scene
from agri_assets.cube.raster import Rasters, read_pixels, to_classes, to_reflectance
from agri_assets.cube.resample import resample
from agri_assets.cube.schema import BANDS_ARRAY, CLASSES_ARRAY, CubeInfo
from agri_assets.cube.shards import ShardWriter
from agri_assets.cube.zarr_metadata import root_document
from agri_assets.progress import meter
from agri_assets.scenes.record import SceneRecord

Granule = tuple[BandPlan, ...]


@dataclass(frozen=True)
class _Part:
    """A decoded piece of a raster, and how many of its valid pixels were clipped."""

    pixels: npt.NDArray[Any]
    clipped: int


Whole = Mapping[str, _Part]
"""Bands decoded once, by number of the granule and band name."""


@dataclass(frozen=True)
class SlotPixels:
    """What came out of one slot while its pixels were in memory.

    Attributes:
        shards: Records of all shards of both arrays.
        clipped: Valid pixels that were clipped to 1.
        valid: (height, width) bool, pixels with data in all bands.
        classes: (height, width) uint8, the scene classification.
        look: (3, height, width) uint16, the quick-look's pixels.
    """

    shards: tuple[ShardRecord, ...]
    clipped: int
    valid: npt.NDArray[np.bool_]
    classes: npt.NDArray[np.uint8]
    look: npt.NDArray[np.uint16]


def build_slot(root: Path, info: CubeInfo, slot: int, records: Sequence[SceneRecord]) -> SlotPixels:
    """Decode, convert, merge and write all shards of one slot; nothing becomes visible.

    Args:
        root: The cube.
        info: The cube with this slot already counted in.
        slot: Index on the time axis.
        records: The scenes of one day, in order: where the first has no data the next fills in.

    Raises:
        SceneError: A raster cannot be read.
    """
    rasters = Rasters()
    try:
        granules = tuple(plan_scene(record, info, rasters) for record in records)
        require_sane(len(info.shards) + sum(len(plans) for plans in granules), records[0].scene_id)
        document = root_document(info)
        pixels = ShardWriter.open(root, BANDS_ARRAY, slot, info, document)
        classes = ShardWriter.open(root, CLASSES_ARRAY, slot, info, document)
        label = f"{info.tile} {info.slots[slot].date}: building"
        with meter(label, len(info.shards), "shards") as counter:
            return _SlotJob(info, granules, rasters, pixels, classes, SharedMeter(counter)).run()
    finally:
        rasters.close()


@dataclass(frozen=True)
class _Shard:
    records: tuple[ShardRecord, ...]
    clipped: int
    valid: npt.NDArray[np.bool_]
    classes: npt.NDArray[np.uint8]
    look: npt.NDArray[np.uint16]


@dataclass(frozen=True)
class _SlotJob:
    info: CubeInfo
    granules: tuple[Granule, ...]
    rasters: Rasters
    pixels: ShardWriter
    classes: ShardWriter
    progress: SharedMeter

    def run(self) -> SlotPixels:
        whole = {
            f"{number} {plan.name}": delayed(self._decode, pure=False)(plan)
            for number, plans in enumerate(self.granules)
            for plan in plans
            if plan.whole
        }
        places = self.info.shards
        tasks = [delayed(self._build_shard, pure=False)(y, x, whole) for y, x in places]
        *shards, decoded = run_graph([*tasks, delayed(_clipped)(whole)], self.info.tile)
        return self._gather(dict(zip(places, shards, strict=True)), clipped=decoded)

    def _gather(self, shards: Mapping[tuple[int, int], _Shard], clipped: int) -> SlotPixels:
        valid = np.zeros((self.info.height, self.info.width), dtype=bool)
        classes = np.zeros(valid.shape, dtype=np.uint8)
        for (y, x), shard in shards.items():
            height, width = shard.valid.shape
            valid[y : y + height, x : x + width] = shard.valid
            classes[y : y + height, x : x + width] = shard.classes
        records = tuple(record for shard in shards.values() for record in shard.records)
        look = Thinning.of(self.info).join((place, shard.look) for place, shard in shards.items())
        return SlotPixels(records, clipped + sum(shard.clipped for shard in shards.values()), valid, classes, look)

    def _build_shard(self, y: int, x: int, whole: Whole) -> _Shard:
        pixels, classes, clipped = self._granule(0, y, x, whole)
        for number in range(1, len(self.granules)):
            if (pixels > 0).all():
                break
            more, more_classes, more_clipped = self._granule(number, y, x, whole)
            take = (pixels == 0).any(axis=0) & (more > 0).all(axis=0)
            np.copyto(pixels, more, where=take)
            np.copyto(classes, more_classes, where=take)
            clipped += more_clipped
        records = (self.pixels.write(y, x, pixels), self.classes.write(y, x, classes))
        self.progress.advance(1, pixels.nbytes + classes.nbytes)
        look = Thinning.of(self.info).part(pixels, y, x)
        return _Shard(records, clipped, np.asarray((pixels > 0).all(axis=0)), classes, look)

    def _granule(
        self, number: int, y: int, x: int, whole: Whole
    ) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8], int]:
        """One granule's pixels (band, y, x), classes (y, x) and clipped count of one shard."""
        height, width = self.info.shard_shape(y, x)
        pixels = np.zeros((len(self.info.bands), height, width), dtype=np.uint16)
        classes = np.zeros((height, width), dtype=np.uint8)
        clipped = 0
        for plan in self.granules[number]:
            target = classes if plan.name == CLASSES else pixels[self.info.bands.index(plan.name)]
            clipped += self._fill(target, plan, y, x, whole.get(f"{number} {plan.name}"))
        return pixels, classes, clipped

    def _fill(self, target: npt.NDArray[Any], plan: BandPlan, y: int, x: int, whole: _Part | None) -> int:
        """Lay one raster over the pixels of the grid from (y, x) on, as far as it reaches; counts what was clipped."""
        rows, cols = plan.axes(y, x, *target.shape)
        if not rows or not cols:
            return 0
        (top, bottom), (left, right) = rows.span(plan.method), cols.span(plan.method)
        part = whole or self._decode(plan, (top, bottom, left, right))
        values = part.pixels[top:bottom, left:right] if whole else part.pixels
        if plan.place.factor == 1:
            target[rows.run, cols.run] = values
        else:
            target[rows.run, cols.run] = resample(values, rows, cols, plan.method)
        return 0 if whole else part.clipped

    def _decode(self, plan: BandPlan, window: tuple[int, int, int, int] | None = None) -> _Part:
        """Read and convert a window of a raster, all of it by default."""
        height, width = plan.place.shape
        numbers = read_pixels(self.rasters, plan.band, window or (0, height, 0, width))
        if plan.name == CLASSES:
            return _Part(to_classes(numbers), 0)
        return _Part(*to_reflectance(numbers, plan.band))


def _clipped(whole: Whole) -> int:
    """Clipped pixels in the bands that were decoded whole."""
    return sum(part.clipped for part in whole.values())
