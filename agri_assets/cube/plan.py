"""What to decode when: each band by shards where its blocks allow it, else once as a whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agri_assets.cube.raster import Rasters, require_on_grid
from agri_assets.cube.schema import CubeInfo
from agri_assets.errors import SceneError
from agri_assets.scenes.record import BandRecord, SceneRecord

MAX_OVERHEAD = 1.05
"""Most pixels decoded over pixels needed; above it a band is decoded once as a whole and handed out."""

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
        shape: (height, width) of the raster.
        factor: Edge of one of its pixels, in pixels of the cube.
        whole: Decode it once for all shards, instead of shard by shard.
    """

    name: str
    band: BandRecord
    shape: tuple[int, int]
    factor: float
    whole: bool


def plan_scene(record: SceneRecord, info: CubeInfo, rasters: Rasters) -> tuple[BandPlan, ...]:
    """How to read each of the cube's bands, and the classification where there is one, of one scene.

    Raises:
        SceneError: A band is missing, unreadable, or not on the cube's grid.
    """
    wanted = _wanted(record, info.bands)
    found = [(name, band, *_layout(band, info, rasters)) for name, band in wanted.items()]
    spent, plans = 0, []
    for name, band, shape, overhead in sorted(found, key=lambda item: item[2]):
        size = shape[0] * shape[1] * (1 if name == CLASSES else 2)
        whole = overhead > MAX_OVERHEAD and spent + size <= MAX_WHOLE_BYTES
        spent += size if whole else 0
        plans.append(BandPlan(name, band, shape, _factor(band, info), whole))
    return tuple(plans)


def _factor(band: BandRecord, info: CubeInfo) -> float:
    """Edge of a band's pixel, in pixels of the cube."""
    return band.resolution / info.grid.resolution if info.grid else 1.0


def overhead(pixels: int, block: int, shards: int, shard: float) -> float:
    """Pixels decoded over pixels needed along one axis, when shards are read one by one.

    Args:
        pixels: Of the raster along the axis.
        block: Pixels of one of its blocks.
        shards: How many shards.
        shard: Pixels of one shard, in the raster's own resolution.
    """
    decoded = 0
    for number in range(shards):
        first, end = int(number * shard), min(pixels, -int(-(number + 1) * shard // 1))
        decoded += min(pixels, -(-end // block) * block) - first // block * block
    return decoded / pixels


def _wanted(record: SceneRecord, bands: Sequence[str]) -> Mapping[str, BandRecord]:
    if missing := [band for band in bands if band not in record.bands]:
        raise SceneError(f"{record.scene_id}: has no band {', '.join(missing)}; fetch the whole product again")
    wanted = {band: record.bands[band] for band in bands}
    return wanted if record.classification is None else {**wanted, CLASSES: record.classification}


def _layout(band: BandRecord, info: CubeInfo, rasters: Rasters) -> tuple[tuple[int, int], float]:
    """Shape of a raster and what reading it shard by shard would decode too much."""
    if info.grid is None:
        raise SceneError(f"{band.href}: scenes need a cube with a grid")
    shape = require_on_grid(rasters, band.href, info.grid)
    with rasters.reading(band.href) as dataset:
        blocks: tuple[int, int] = dataset.block_shapes[0]
    total = 1.0
    for pixels, block, fine in zip(shape, blocks, (info.height, info.width), strict=True):
        total *= overhead(pixels, block, -(-fine // info.shard_size), info.shard_size * pixels / fine)
    return shape, total
