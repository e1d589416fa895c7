"""The champion's wall-to-wall map of one tile."""

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agri_assets.config import Collection
from agri_assets.cube.open import CubeInfo, cube_info
from agri_assets.errors import CubeError, EvaluationError
from agri_assets.evaluation.champion import Champion, read_champion
from agri_assets.evaluation.predictions import Predicts
from agri_assets.evaluation.records import command, read_metrics
from agri_assets.maps.area import adjusted_areas
from agri_assets.maps.polygons import write_polygons
from agri_assets.maps.positions import Chosen, choose_positions
from agri_assets.maps.predict import predict_windows
from agri_assets.maps.quicklook import Mosaic, quicklook_png
from agri_assets.maps.raster import AGRICULTURAL, NODATA, Layer, classify, layers, write_map
from agri_assets.maps.reading import Rules, WindowReader
from agri_assets.maps.windows import Floats, WindowGrid
from agri_assets.maps.work import Work
from agri_assets.models.predictor import load_predictor
from agri_assets.scenes.grid import TileGrid
from agri_assets.store.commit import locked, write_bytes
from agri_assets.store.fingerprint import fingerprint
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, Scalar, read_outcome, run_stage

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
    def picture_path(self) -> Path:
        """The quick-look picture."""
        return self.paths.receipt("land_map", self.tile).with_name(f"{self.tile}.png")


@dataclass(frozen=True)
class Made:
    """What is known of a map once its windows are predicted.

    Attributes:
        chosen: The acquisitions of the positions that are mapped, wholly or in part.
        probability: (rows, columns) of squares, NaN where not mapped.
        layers: Classes and percentages.
        mosaic: The true-colour view.
    """

    chosen: Chosen
    probability: Floats
    layers: tuple[Layer, Layer]
    mosaic: Mosaic


def build_map(collection: Collection, paths: CollectionPaths, tile: str) -> Outcome:
    """Predict every position of a tile that is clear enough with the champion, and write the map.

    Writes `maps/<tile>.tif` (classes), `maps/probability/<tile>.tif` (percent), `maps/positions/<tile>.parquet`
    (polygons) and a quick-look picture.

    Raises:
        EvaluationError: There is no champion.
        CubeError: There is no cube, it has no ground, or it lacks the set date.
        ModelError: The champion's weights do not fit the cube.
    """
    task = _task(collection, paths, tile)
    return run_stage(
        paths.receipt("land_map", tile),
        task.fingerprint,
        lambda: _make(task),
        f"{collection.name}/land_map {tile}",
        lock=lambda: locked(paths.map(tile), f"the map of {tile}"),
    )


def _task(collection: Collection, paths: CollectionPaths, tile: str) -> Task:
    champion = read_champion(paths)
    if champion is None:
        compare = command(collection.name, "model_comparison")
        raise EvaluationError(f"{paths.champion}: there is no champion to map with; run `{compare}`")
    if not paths.receipt("tile_cube", tile).exists():
        build = command(collection.name, "tile_cube")
        raise CubeError(f"{paths.cube(tile)}: there is no cube of tile {tile}; run `{build} --partition {tile}`")
    info = cube_info(paths.cube(tile))
    if info.grid is None:
        raise CubeError(f"{paths.cube(tile)}: an archive has no ground to map")
    return Task(collection, paths, tile, champion, info, info.grid)


def _make(task: Task) -> Outcome:
    predictor = load_predictor(task.paths.model_run(task.champion.model, task.champion.run))
    predictor.contract.require_match(f"tile {task.tile}", task.info.bands, task.info.units, task.info.tile_size)
    made = _predict(task, predictor)
    class_layer, probability_layer = made.layers
    tags = _tags(task, made.chosen)
    write_map(task.probability_path, task.grid, task.stride, probability_layer, tags)
    write_map(task.paths.map(task.tile), task.grid, task.stride, class_layer, tags)
    positions = task.windows.of_positions(made.probability)
    write_polygons(task.polygons_path, made.chosen.rows, positions, classify(positions, task.champion.threshold)[0])
    title = f"{task.tile}  ·  {task.champion.model}  ·  {_span(made.chosen)}"
    picture = quicklook_png(made.mosaic, class_layer.values, title, task.width_m)
    write_bytes(task.picture_path, picture)
    task.work.remove()
    return _outcome(task, made)


def _predict(task: Task, predictor: Predicts) -> Made:
    settings = task.collection
    chosen = choose_positions(
        task.paths.tiles(task.tile), task.info, task.shape, settings.map, settings.split.min_valid
    )
    mosaic, work = Mosaic(*task.shape, task.info.tile_size), task.work
    rules = Rules(settings.split.min_valid, settings.map.min_clear, settings.clouds)
    reader = WindowReader(task.paths.cube(task.tile), task.info, task.windows, chosen, rules, mosaic.detail)
    work.begin()
    windows = predict_windows(predictor, task.champion.temperature, reader, work, mosaic, f"mapping {task.tile}")
    probability = task.windows.mean(windows)
    mapped = chosen.where(np.isfinite(task.windows.of_positions(probability)))
    return Made(mapped, probability, layers(probability, task.champion.threshold), mosaic)


def _tags(task: Task, chosen: Chosen) -> dict[str, str]:
    """Provenance, as tags of the files."""
    champion = task.champion
    return {
        "TIFFTAG_SOFTWARE": f"agri-assets {version('agri-assets')}",
        "collection": task.collection.name,
        "tile": task.tile,
        "model": champion.model,
        "run": champion.run,
        "threshold": repr(champion.threshold),
        "temperature": repr(champion.temperature),
        "split_fingerprint": champion.split_fingerprint,
        "date_rule": task.collection.map.date,
        "dates": ",".join(chosen.dates),
        "min_clear": repr(task.collection.map.min_clear),
        "position_pixels": str(task.info.tile_size),
        "stride_pixels": str(task.stride),
    }


def _digest(layer: Layer) -> str:
    return hashlib.sha256(layer.values.tobytes()).hexdigest()


def _outcome(task: Task, made: Made) -> Outcome:
    class_layer, probability_layer = made.layers
    positions, mapped = math.prod(task.shape), len(made.chosen.rows)
    area, agricultural = task.km2(class_layer.values != NODATA), task.km2(class_layer.values == AGRICULTURAL)
    share = agricultural / area if area else None
    figures: dict[str, Scalar] = {
        "positions": positions,
        "mapped_positions": mapped,
        "stride_pixels": task.stride,
        "agricultural_share": share,
        "agricultural_km2": agricultural,
        "mapped_km2": area,
        "model": task.champion.model,
        "run": task.champion.run,
        "threshold": task.champion.threshold,
        "dates": ", ".join(made.chosen.dates),
        "probability": str(task.probability_path),
        "polygons": str(task.polygons_path),
    }
    figures |= _adjusted(task, area, agricultural)
    path = task.paths.map(task.tile)
    said = "none is clear enough" if share is None else f"{share:.1%} of the ground agricultural"
    return Outcome(
        path=path,
        fingerprint=task.fingerprint,
        data_version=fingerprint(classes=_digest(class_layer), percent=_digest(probability_layer)),
        summary=f"{mapped} of {positions} positions mapped by {task.champion.model}, {said}",
        metadata=figures,
        pictures={"Land map": task.picture_path},
        warnings=() if mapped else (f"no position of tile {task.tile} is clear enough to be mapped",),
        outputs=(path, task.probability_path, task.polygons_path, task.picture_path),
    )


def _adjusted(task: Task, mapped: float, agricultural: float) -> dict[str, Scalar]:
    """The area on the ground, as far as the champion's test sample tells the map's errors."""
    metrics = read_metrics(task.paths, task.champion.model)
    if metrics is None or metrics.report != task.champion.report:
        return {}
    areas = adjusted_areas(metrics.confusion, [mapped - agricultural, agricultural])
    if areas is None:
        return {}
    area = areas[1]
    return {
        "adjusted_agricultural_km2": area.value,
        "adjusted_agricultural_km2_low": area.low,
        "adjusted_agricultural_km2_high": area.high,
    }


def _span(chosen: Chosen) -> str:
    """The mapped dates, as a title says them."""
    if len(chosen.dates) <= 1:
        return "".join(chosen.dates)
    return f"{chosen.dates[0]} to {chosen.dates[-1]}"
