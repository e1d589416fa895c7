"""The champion's wall-to-wall map of one tile."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agri_assets.config import Collection
from agri_assets.cube.index import read_index
from agri_assets.cube.open import CubeInfo, cube_info
from agri_assets.errors import CubeError, EvaluationError
from agri_assets.evaluation.champion import Champion, read_champion
from agri_assets.evaluation.predictions import Predicts, predict_batches
from agri_assets.evaluation.records import command, read_metrics
from agri_assets.evaluation.temperature import scaled
from agri_assets.maps.area import adjusted_areas
from agri_assets.maps.polygons import write_polygons
from agri_assets.maps.positions import Chosen, choose_positions
from agri_assets.maps.quicklook import Mosaic, quicklook_png
from agri_assets.maps.raster import AGRICULTURAL, NODATA, Bytes, Layer, layers, write_map
from agri_assets.models.predictor import load_predictor
from agri_assets.scenes.grid import TileGrid
from agri_assets.store.commit import write_bytes
from agri_assets.store.fingerprint import fingerprint
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, Scalar, read_outcome, run_stage

CODE_VERSION = "2"


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
        paths.receipt("land_map", tile), task.fingerprint, lambda: _make(task), f"{collection.name}/land_map {tile}"
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
    index = read_index(task.paths.tiles(task.tile))
    slots = [slot.slot for slot in task.info.active]
    settings = task.collection
    chosen = choose_positions(index, task.tile, slots, settings.map, settings.split.min_valid)
    mosaic = Mosaic(*task.shape, task.info.tile_size)
    probability = predict_positions(predictor, task, chosen, mosaic)
    class_layer, probability_layer = layers(probability, task.champion.threshold)
    tags = _tags(task, chosen)
    write_map(task.probability_path, task.grid, task.info.tile_size, probability_layer, tags)
    write_map(task.paths.map(task.tile), task.grid, task.info.tile_size, class_layer, tags)
    write_polygons(task.polygons_path, chosen.rows, probability, class_layer.values)
    title = f"{task.tile}  ·  {task.champion.model}  ·  {_span(chosen)}"
    write_bytes(task.picture_path, quicklook_png(mosaic, class_layer.values, title))
    return _outcome(
        task, chosen, class_layer.values, fingerprint(classes=_digest(class_layer), percent=_digest(probability_layer))
    )


def predict_positions(predictor: Predicts, task: Task, chosen: Chosen, mosaic: Mosaic) -> npt.NDArray[np.float64]:
    """Probabilities (rows, columns), NaN where not mapped; the pixels pass by once, into `mosaic` as well."""
    probability = np.full(task.shape, np.nan)
    samples, cubes = chosen.samples, {task.tile: task.paths.cube(task.tile)}
    for batch, found in predict_batches(predictor, samples, cubes, f"mapping {task.tile}"):
        row, col = samples.row[batch.index], samples.col[batch.index]
        probability[row, col] = scaled(found, task.champion.temperature)
        mosaic.add(batch.pixels, row, col, task.info.bands, task.info.units)
    return probability


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
    }


def _digest(layer: Layer) -> str:
    return hashlib.sha256(layer.values.tobytes()).hexdigest()


def _outcome(task: Task, chosen: Chosen, classes: Bytes, content: str) -> Outcome:
    mapped = int((classes != NODATA).sum())
    agricultural = int((classes == AGRICULTURAL).sum())
    edge = task.info.tile_size * task.grid.resolution
    share = agricultural / mapped if mapped else None
    figures: dict[str, Scalar] = {
        "positions": classes.size,
        "mapped_positions": mapped,
        "agricultural_share": share,
        "agricultural_km2": agricultural * edge**2 / 1e6,
        "mapped_km2": mapped * edge**2 / 1e6,
        "model": task.champion.model,
        "run": task.champion.run,
        "threshold": task.champion.threshold,
        "dates": ", ".join(chosen.dates),
        "probability": str(task.probability_path),
        "polygons": str(task.polygons_path),
    }
    figures |= _adjusted(task, mapped, agricultural)
    path = task.paths.map(task.tile)
    said = "none is clear enough" if share is None else f"{share:.1%} of them agricultural"
    return Outcome(
        path=path,
        fingerprint=task.fingerprint,
        data_version=content,
        summary=f"{mapped} of {classes.size} positions mapped by {task.champion.model}, {said}",
        metadata=figures,
        pictures={"Land map": task.picture_path},
        warnings=() if mapped else (f"no position of tile {task.tile} is clear enough to be mapped",),
        outputs=(path, task.probability_path, task.polygons_path, task.picture_path),
    )


def _adjusted(task: Task, mapped: int, agricultural: int) -> dict[str, Scalar]:
    """The area on the ground, as far as the champion's test sample tells the map's errors."""
    metrics = read_metrics(task.paths, task.champion.model)
    if metrics is None or metrics.report != task.champion.report:
        return {}
    km2 = (task.info.tile_size * task.grid.resolution) ** 2 / 1e6
    areas = adjusted_areas(metrics.confusion, [(mapped - agricultural) * km2, agricultural * km2])
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
