"""A product as tiles to predict, shard by shard, by the cube's own rules: memory does not grow with the scene."""

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from agri_assets.bundle.contract import BundleContract
from agri_assets.cube.decode import fill
from agri_assets.cube.plan import CLASSES, BandPlan, plan_scene
from agri_assets.cube.raster import Rasters
from agri_assets.cube.schema import CubeInfo, shard_size
from agri_assets.cube.shares import Fractions, share
from agri_assets.errors import ModelError, SceneError
from agri_assets.loading.ahead import read_ahead
from agri_assets.scenes.clouds import clear_mask, valid_mask
from agri_assets.scenes.darkest import judge, look
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.narrow import narrow
from agri_assets.scenes.read import inspect_product
from agri_assets.scenes.record import SceneRecord
from agri_assets.scenes.verify import verify_scene

logger = logging.getLogger(__name__)

UNITS = "reflectance"
"""Of every product that is read: counts of 1/10000 without offset."""

AHEAD = 1
"""Shards read while one is predicted."""

Pixels = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Tiles:
    """The tiles of one shard that are clear enough.

    Attributes:
        row: Row of each tile's position, (n,).
        col: Column of each tile's position, (n,).
        pixels: (n, bands, edge, edge), in the cube's convention.
        positions: Positions of the shard, mapped or not.
    """

    row: npt.NDArray[np.intp]
    col: npt.NDArray[np.intp]
    pixels: Pixels
    positions: int


@dataclass(frozen=True)
class Scene:
    """A product that a bundle can be run on.

    Attributes:
        record: Of the product, cut down to the bundle's bands.
        contract: What the tiles must be.
    """

    record: SceneRecord
    contract: BundleContract

    @cached_property
    def grid(self) -> TileGrid:
        """Of its finest band that the bundle uses."""
        return TileGrid.of(self.record)

    @cached_property
    def info(self) -> CubeInfo:
        """The cube that would be built of it."""
        edge = self.contract.tile_size
        return CubeInfo(
            tile=self.record.mgrs_tile,
            bands=self.contract.bands,
            units=UNITS,
            tile_size=edge,
            shard_size=shard_size(edge),
            height=self.grid.height,
            width=self.grid.width,
            grid=self.grid,
            resampling=self.contract.resampling,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of whole positions."""
        return self.grid.positions(self.contract.tile_size)


def open_scene(product: str, contract: BundleContract) -> Scene:
    """Read, verify and look at a product as ingest does; refuse one that the bundle was not made for.

    Raises:
        SceneError: It cannot be used, or its rasters are absent or damaged.
        ModelError: Bands, units, offset convention or tile size do not fit.
    """
    record = inspect_product(product)
    if missing := [band for band in contract.bands if band not in record.bands]:
        raise ModelError(
            f"{record.location}: has no band {', '.join(missing)}, which {contract.model} of {contract.collection} "
            f"needs; it has {', '.join(record.bands)}; use a product or a bundle that fits"
        )
    contract.require_match(record.location, contract.bands, UNITS, contract.tile_size)
    if not record.readable:
        raise SceneError(f"{record.location}: metadata only, its rasters are absent; fetch the whole product")
    scene = Scene(narrow(record, contract.bands), contract)
    _require_size(scene)
    verify_scene(scene.record, scene.grid)
    judge(scene.record, look(scene.record))
    for doubt in doubts(scene):
        logger.warning("%s: %s", record.location, doubt)
    return scene


def doubts(scene: Scene) -> list[str]:
    """What does not forbid a map, but people must know."""
    contract, told = scene.contract, []
    if contract.pixel_size is not None and scene.grid.resolution != contract.pixel_size:
        told.append(
            f"its pixels are {scene.grid.resolution:g} m, {contract.model} of {contract.collection} was trained on "
            f"{contract.pixel_size:g} m: the map is a guess"
        )
    if scene.record.classification is None:
        told.append("it has no scene classification: clouds are mapped like ground")
    elif contract.clouds.mask != "scl":
        told.append(f"clouds are masked by its scene classification, in training they were by {contract.clouds.mask}")
    return told


def read_tiles(scene: Scene) -> Iterator[Tiles]:
    """The tiles of each shard, row by row of shards; one shard is read while another is used.

    Raises:
        SceneError: A raster cannot be read.
    """
    rasters = Rasters()
    # in turn, GDAL's block cache keeps a row of coarse blocks until the next row of shards has read them, too
    try:
        plans = plan_scene(scene.record, scene.info, rasters)
        yield from read_ahead((_read(scene, plans, rasters, y, x) for y, x in scene.info.shards), AHEAD)
    finally:
        rasters.close()


def _require_size(scene: Scene) -> None:
    if 0 in scene.shape:
        height, width, edge = scene.grid.height, scene.grid.width, scene.contract.tile_size
        raise ModelError(
            f"{scene.record.location}: is {height} x {width} px, smaller than one tile of {edge} px that "
            f"{scene.contract.model} takes; use a larger product"
        )


def _read(scene: Scene, plans: tuple[BandPlan, ...], rasters: Rasters, y: int, x: int) -> Tiles:
    """The tiles of the shard whose upper-left pixel is (y, x)."""
    contract, edge = scene.contract, scene.contract.tile_size
    pixels = np.zeros((len(contract.bands), *scene.info.shard_shape(y, x)), dtype=np.uint16)
    for plan in plans:
        if plan.name != CLASSES:
            fill(rasters, pixels[contract.bands.index(plan.name)], plan, y, x)
    classes = next((plan for plan in plans if plan.name == CLASSES), None)
    valid, clear = _shares(scene, pixels, classes, rasters, y, x)
    row, col = np.nonzero((clear >= contract.min_clear) & (valid >= contract.min_valid))
    (rows, cols), bands = valid.shape, len(contract.bands)
    grid = pixels[:, : rows * edge, : cols * edge].reshape(bands, rows, edge, cols, edge)
    tiles = np.ascontiguousarray(grid.transpose(1, 3, 0, 2, 4)[row, col])
    return Tiles(row + y // edge, col + x // edge, tiles, valid.size)


def _shares(
    scene: Scene, pixels: Pixels, plan: BandPlan | None, rasters: Rasters, y: int, x: int
) -> tuple[Fractions, Fractions]:
    """Shares of valid and of clear pixels by position; without a classification all that is valid is clear."""
    data, edge = pixels.min(axis=0) > 0, scene.contract.tile_size
    if plan is None:
        valid = share(data, edge)
        return valid, valid
    clouds, resolution = scene.contract.clouds, scene.grid.resolution
    # with the neighbours that grown clouds come from
    halo = math.ceil(clouds.dilate_m / resolution)
    around = np.zeros(tuple(size + 2 * halo for size in data.shape), dtype=np.uint8)
    fill(rasters, around, plan, y - halo, x - halo)
    middle = (slice(halo, halo + data.shape[0]), slice(halo, halo + data.shape[1]))
    usable = valid_mask(data, around[middle])
    return share(usable, edge), share(usable & clear_mask(around, clouds, resolution)[middle], edge)
