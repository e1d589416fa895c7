"""A product that a bundle can be run on, read and judged as ingest does."""

import logging
from dataclasses import dataclass
from functools import cached_property

from agri_assets.bundle.contract import BundleContract
from agri_assets.cube.schema import CubeInfo, shard_size
from agri_assets.errors import ModelError, SceneError
from agri_assets.maps.settings import MIN_STRIDE
from agri_assets.maps.windows import WindowGrid
from agri_assets.scenes.darkest import judge, look
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.narrow import narrow
from agri_assets.scenes.read import inspect_product
from agri_assets.scenes.record import SceneRecord
from agri_assets.scenes.verify import verify_scene

logger = logging.getLogger(__name__)

UNITS = "reflectance"
"""Of every product that is read: counts of 1/10000 without offset."""


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

    def windows(self, stride: int | None = None) -> WindowGrid:
        """The windows to predict, one every `stride` pixels; by default they lie side by side.

        Raises:
            ModelError: The stride does not divide the bundle's tile size, or is too small.
        """
        edge = self.contract.tile_size
        step = edge if stride is None else stride
        fit = [size for size in range(min(MIN_STRIDE, edge), edge + 1) if edge % size == 0]
        if step not in fit:
            raise ModelError(
                f"stride {step} does not fit the tiles of {edge} px that {self.contract.model} takes; use one of "
                f"{', '.join(map(str, fit))}"
            )
        return WindowGrid(self.shape, edge, step, self.info.shard_size // edge)


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


def _require_size(scene: Scene) -> None:
    if 0 in scene.shape:
        height, width, edge = scene.grid.height, scene.grid.width, scene.contract.tile_size
        raise ModelError(
            f"{scene.record.location}: is {height} x {width} px, smaller than one tile of {edge} px that "
            f"{scene.contract.model} takes; use a larger product"
        )
