"""What to decode when: each band by shards where its blocks allow it, else once as a whole, else by rows of shards."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agri_assets.cube.raster import Placed, Rasters, place_raster
from agri_assets.cube.resample import Axis
from agri_assets.cube.schema import CubeInfo, Resampling
from agri_assets.errors import SceneError
from agri_assets.scenes.record import BandRecord, SceneRecord

MAX_OVERHEAD = 1.05
"""Most pixels decoded over pixels needed; above it a band is not decoded shard by shard."""

MAX_WHOLE_BYTES = 1_200_000_000
"""Most memory for bands held whole. All 20 and 60 m bands of a full tile need 0.4 GB."""

CLASSES = "SCL"
"""Name under which a scene's classification is planned."""


@dataclass(frozen=True)
class BandPlan:
    """How one raster is read.

    Attributes:
        name: Band name, or `SCL`.
        band: Where it is and what its numbers mean.
        place: Where it lies on the cube's grid.
        method: How it is brought to that grid.
        aligned: Its blocks fit the shards: decoded shard by shard, hardly a pixel is decoded twice.
        whole: It is decoded once for all shards.
    """

    name: str
    band: BandRecord
    place: Placed
    method: Resampling
    aligned: bool
    whole: bool

    def axes(self, y: int, x: int, height: int, width: int) -> tuple[Axis, Axis]:
        """The rows and columns of the cube from (y, x) on that the raster covers, and its pixels under them."""
        shape, factor, offset = self.place.shape, self.place.factor, self.place.offset
        return Axis.of(y, height, factor, shape[0], offset[0]), Axis.of(x, width, factor, shape[1], offset[1])


def plan_scene(record: SceneRecord, info: CubeInfo, rasters: Rasters) -> tuple[BandPlan, ...]:
    """How to read each of the cube's bands, and the classification where there is one, of one scene.

    Raises:
        SceneError: A band is missing, unreadable, or has no place on the cube's grid.
    """
    if info.grid is None:
        raise SceneError(f"{record.location}: scenes need a cube with a grid")
    found = []
    for name, band in _wanted(record, info.bands).items():
        place = place_raster(rasters, band, info.grid)
        method: Resampling = "nearest" if name == CLASSES or place.factor == 1 else info.resampling
        found.append((name, band, place, method, _scene_overhead(place, info, method)))
    spent, plans = 0, []
    for name, band, place, method, excess in sorted(found, key=lambda item: item[-1]):
        size = place.shape[0] * place.shape[1] * (1 if name == CLASSES else 2)
        aligned = excess <= MAX_OVERHEAD
        whole = not aligned and spent + size <= MAX_WHOLE_BYTES
        spent += size if whole else 0
        plans.append(BandPlan(name, band, place, method, aligned, whole))
    return tuple(plans)


def overhead(pixels: int, block: int, shards: int, shard: float, start: float = 0.0, halo: int = 0) -> float:
    """Pixels decoded over pixels needed along one axis, when shards are read one by one.

    Args:
        pixels: Of the raster along the axis.
        block: Pixels of one of its blocks.
        shards: How many shards.
        shard: Pixels of one shard, in the raster's own resolution.
        start: Where the raster starts, counted from the first shard in its own pixels.
        halo: Pixels needed on either side of a shard.
    """
    decoded = 0
    for number in range(shards):
        first = max(0, math.floor(number * shard - start) - halo)
        end = min(pixels, math.ceil((number + 1) * shard - start) + halo)
        if first < end:
            decoded += min(pixels, -(-end // block) * block) - first // block * block
    return decoded / pixels


def _scene_overhead(place: Placed, info: CubeInfo, method: Resampling) -> float:
    """What reading a raster shard by shard would decode too much."""
    total, halo = 1.0, 0 if method == "nearest" else 1
    axes = zip(place.shape, place.blocks, place.offset, (info.height, info.width), strict=True)
    for pixels, block, offset, fine in axes:
        shards, shard = -(-fine // info.shard_size), info.shard_size / place.factor
        total *= overhead(pixels, block, shards, shard, offset / place.factor, halo)
    return total


def _wanted(record: SceneRecord, bands: Sequence[str]) -> Mapping[str, BandRecord]:
    if missing := [band for band in bands if band not in record.bands]:
        raise SceneError(f"{record.scene_id}: has no band {', '.join(missing)}; fetch the whole product again")
    wanted = {band: record.bands[band] for band in bands}
    return wanted if record.classification is None else {**wanted, CLASSES: record.classification}
