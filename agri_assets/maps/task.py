"""One map to make, and what is known of it once its windows are predicted."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agri_assets.config import Collection
from agri_assets.cube.open import CubeInfo
from agri_assets.evaluation.champion import Champion
from agri_assets.maps.positions import Chosen
from agri_assets.maps.quicklook import Mosaic
from agri_assets.maps.raster import Layer
from agri_assets.maps.windows import Floats, WindowGrid
from agri_assets.maps.work import Work
from agri_assets.scenes.grid import TileGrid
from agri_assets.store.fingerprint import fingerprint
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import read_outcome

CODE_VERSION = "3"


@dataclass(frozen=True)
class Task:
    """One map to make: a tile and the champion that predicts it."""

    collection: Collection
    paths: CollectionPaths
    tile: str
    champion: Champion
    info: CubeInfo
    grid: TileGrid

    @cached_property
    def fingerprint(self) -> str:
        """Of the cube, the champion, and the choice of dates."""
        return fingerprint(
            stage="land_map",
            code=CODE_VERSION,
            cube=read_outcome(self.paths.receipt("tile_cube", self.tile)).data_version,
            champion=self.champion.model_dump(exclude={"report", "metric", "value", "decided"}),
            settings=self.collection.map,
            min_valid=self.collection.split.min_valid,
            licence=self.collection.licence,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of whole positions."""
        return self.grid.positions(self.info.tile_size)

    @property
    def stride(self) -> int:
        """Pixels from one window to the next: the edge of a square."""
        return self.collection.map.stride or self.info.tile_size

    @property
    def windows(self) -> WindowGrid:
        """The windows that are predicted."""
        return WindowGrid(self.shape, self.info.tile_size, self.stride, self.info.shard_size // self.info.tile_size)

    @property
    def work(self) -> Work:
        """Where finished parts are kept until the map is whole."""
        return Work(self.paths.local / "maps" / f".{self.tile}.work", self.fingerprint)

    @property
    def width_m(self) -> float:
        """Width of the ground of whole positions, in metres."""
        return self.shape[1] * self.info.tile_size * self.grid.resolution

    def km2(self, squares: npt.NDArray[np.bool_]) -> float:
        """Area of the true squares."""
        return float(np.count_nonzero(squares)) * (self.stride * self.grid.resolution) ** 2 / 1e6

    @property
    def probability_path(self) -> Path:
        """The map of probabilities, in a folder of its own beside the maps of classes."""
        return self.paths.map(self.tile).parent / "probability" / f"{self.tile}.tif"

    @property
    def polygons_path(self) -> Path:
        """The mapped positions as polygons."""
        return self.paths.map(self.tile).parent / "positions" / f"{self.tile}.parquet"

    @property
    def page_path(self) -> Path:
        """The page that shows the map."""
        return self.paths.map(self.tile).with_suffix(".html")

    @property
    def picture_path(self) -> Path:
        """The quick-look picture."""
        return self.paths.receipt("land_map", self.tile).with_name(f"{self.tile}.png")


@dataclass(frozen=True)
class Made:
    """What is known of a map once its windows are predicted.

    Attributes:
        chosen: The acquisitions of the positions that are mapped, wholly or in part.
        probability: (rows, columns) of squares, NaN where not mapped.
        classes: The map of classes.
        percent: The map of probabilities.
        mosaic: The true-colour view.
        proof: How far the split of the model can be trusted.
    """

    chosen: Chosen
    probability: Floats
    classes: Layer
    percent: Layer
    mosaic: Mosaic
    proof: str

    @property
    def span(self) -> str:
        """The mapped dates, as a title says them."""
        dates = self.chosen.dates
        return f"{dates[0]} to {dates[-1]}" if len(dates) > 1 else "".join(dates)
