"""The champion's wall-to-wall map of one tile."""

import numpy as np

from agri_assets.config import Collection
from agri_assets.cube.open import cube_info
from agri_assets.errors import CubeError, EvaluationError
from agri_assets.evaluation.champion import read_champion
from agri_assets.evaluation.records import command
from agri_assets.maps.page import map_page
from agri_assets.maps.polygons import write_polygons
from agri_assets.maps.positions import choose_positions
from agri_assets.maps.predict import predict_windows
from agri_assets.maps.quicklook import Mosaic, quicklook_png
from agri_assets.maps.raster import classify, layers, write_map
from agri_assets.maps.reading import Rules, WindowReader
from agri_assets.maps.task import Made, Task
from agri_assets.maps.told import map_outcome, page_content, provenance_tags
from agri_assets.maps.vrt import refresh_mosaics
from agri_assets.models.predictor import Predictor, load_predictor
from agri_assets.store.commit import locked, write_bytes, write_text
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, run_stage


def build_map(collection: Collection, paths: CollectionPaths, tile: str) -> Outcome:
    """Predict every position of a tile that is clear enough with the champion, and write the map.

    Writes `maps/<tile>.tif` (classes), `maps/probability/<tile>.tif` (percent), `maps/positions/<tile>.parquet`
    (polygons), `maps/<tile>.html` (to look at, offline) and a quick-look picture; `maps/mosaic.vrt` and
    `maps/probability/mosaic.vrt` then show all mapped tiles. What is predicted is kept until the map is whole, so that
    one that was killed continues.

    Raises:
        EvaluationError: There is no champion.
        CubeError: There is no cube, it has no ground, or it lacks the set date.
        ModelError: The champion's weights do not fit the cube.
    """
    task = _task(collection, paths, tile)
    outcome = run_stage(
        paths.receipt("land_map", tile),
        task.fingerprint,
        lambda: _make(task),
        f"{collection.name}/land_map {tile}",
        lock=lambda: locked(paths.map(tile), f"the map of {tile}"),
    )
    refresh_mosaics(paths)
    return outcome


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
    tags = provenance_tags(task, made)
    write_map(task.probability_path, task.grid, task.stride, made.percent, tags)
    write_map(task.paths.map(task.tile), task.grid, task.stride, made.classes, tags)
    positions = task.windows.of_positions(made.probability)
    write_polygons(task.polygons_path, made.chosen.rows, positions, classify(positions, task.champion.threshold)[0])
    title = f"{task.tile}  ·  {task.champion.model}  ·  {made.span}"
    write_bytes(task.picture_path, quicklook_png(made.mosaic, made.classes.values, title, task.width_m))
    outcome = map_outcome(task, made)
    write_text(task.page_path, map_page(page_content(task, made, outcome)))
    task.work.remove()
    return outcome


def _predict(task: Task, predictor: Predictor) -> Made:
    settings = task.collection
    index = task.paths.tiles(task.tile)
    chosen = choose_positions(index, task.info, task.shape, settings.map, settings.split.min_valid)
    mosaic, work = Mosaic(*task.shape, task.info.tile_size), task.work
    rules = Rules(settings.split.min_valid, settings.map.min_clear, settings.clouds)
    reader = WindowReader(task.paths.cube(task.tile), task.info, task.windows, chosen, rules, mosaic.detail)
    work.begin()
    windows = predict_windows(predictor, task.champion.temperature, reader, work, mosaic, f"mapping {task.tile}")
    probability = task.windows.mean(windows)
    mapped = chosen.where(np.isfinite(task.windows.of_positions(probability)))
    classes, percent = layers(probability, task.champion.threshold)
    return Made(mapped, probability, classes, percent, mosaic, predictor.contract.proof)
