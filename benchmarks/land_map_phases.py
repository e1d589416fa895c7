"""The phases that `benchmarks.land_map` measures, each run as a process: bare forward passes, and a whole map."""

import argparse
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd

from agri_assets.config import Collection
from agri_assets.cube.index import arrange, write_index
from agri_assets.cube.open import cube_info
from agri_assets.cube.positions import ground
from agri_assets.evaluation.champion import Champion
from agri_assets.evaluation.predictions import BATCH
from agri_assets.maps.land_map import build_map
from agri_assets.models.contract import OFFSET_CONVENTIONS, ModelContract
from agri_assets.models.predictor import load_predictor
from agri_assets.models.registry import build_network
from agri_assets.models.weights import WEIGHTS_FILE, get_weights, save_weights
from agri_assets.scenes.grid import tile_id
from agri_assets.store.commit import write_json
from agri_assets.store.fingerprint import file_digest
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, write_outcome
from benchmarks.made_cube import BANDS, MEAN, STD, TILE, TILE_SIZE, made_cube
from benchmarks.phases import Clock

NAME, MODEL, RUN = "bench", "cnn_vit_hybrid", "0" * 12
FORWARD = 40
"""Batches of the bare forward passes."""

STRIDE = 32


def prepare(root: Path, size: int) -> Path:
    """A data root with a made cube, its index, and a champion; made once."""
    paths = CollectionPaths(root, NAME)
    made_cube(paths.cube(TILE), size)
    if not paths.champion.exists():
        write_index(paths.tiles(TILE), _index(paths.cube(TILE)))
        receipt = Outcome(path=paths.cube(TILE), fingerprint="", data_version="made", summary="made")
        write_outcome(paths.receipt("tile_cube", TILE), receipt)
        _crown(paths)
    return root


def _index(cube: Path) -> gpd.GeoDataFrame:
    """An index by which every position is clear."""
    info = cube_info(cube)
    assert info.grid is not None
    rows, cols = info.grid.positions(TILE_SIZE)
    row, col = (axis.ravel() for axis in np.indices((rows, cols)))
    place = ground(info.grid, TILE_SIZE, 6)
    names = [tile_id(TILE, *pair) for pair in zip(row.tolist(), col.tolist(), strict=True)]
    same = {"tile": TILE, "date": info.slots[0].date, "scene_id": info.slots[0].scene_id, "slot": 0}
    full = dict.fromkeys(("valid_fraction", "clear_fraction", "purity", "labelled_fraction"), 1.0)
    none = dict.fromkeys(("class_name", "listed", "name", "group"))
    frame = pd.DataFrame({"tile_id": names, "row": row, "col": col, "cell": place.cell, "owner": place.owner})
    frame = frame.assign(**same, **full, **none, cropland_fraction=0.5, label=pd.array([1] * len(row), dtype="Int8"))
    return gpd.GeoDataFrame(arrange(frame.assign(ambiguous=False)), geometry=list(place.geometry), crs="EPSG:4326")


def _crown(paths: CollectionPaths) -> None:
    """An untrained network as the champion."""
    folder = paths.model_run(MODEL, RUN)
    save_weights(folder / WEIGHTS_FILE, get_weights(build_network(MODEL, len(BANDS), TILE_SIZE, {}), "torch"))
    ModelContract(
        **{"model": MODEL, "framework": "torch", "collection": NAME, "bands": BANDS, "units": "reflectance"},
        **{"offset_convention": OFFSET_CONVENTIONS["reflectance"], "tile_size": TILE_SIZE, "options": {}},
        **{"mean": (MEAN,) * len(BANDS), "std": (STD,) * len(BANDS), "split_fingerprint": "made", "proof": "none"},
        **{"parameters": 1, "weights_digest": file_digest(folder / WEIGHTS_FILE)},
    ).save(folder)
    known = {"model": MODEL, "run": RUN, "report": "none", "metric": "roc_auc", "value": 0.5, "threshold": 0.5}
    champion = Champion(**known, split_fingerprint="made", decided="2024-01-01")
    write_json(paths.champion, champion.model_dump(mode="json"))


def forward(root: Path) -> None:
    """The champion's forward passes over one batch that stays in memory, as the map asks for them."""
    paths = CollectionPaths(root, NAME)
    predictor = load_predictor(paths.model_run(MODEL, RUN))
    shape = (BATCH, len(BANDS), TILE_SIZE, TILE_SIZE)
    pixels = np.random.default_rng(0).integers(1, 5_000, shape, dtype=np.uint16)
    predictor.predict(pixels)
    clock = Clock()
    for _ in range(FORWARD):
        predictor.predict(pixels)
    clock.report(windows=FORWARD * BATCH)


def whole_map(root: Path, stride: int | None) -> None:
    """A map from nothing."""
    paths = CollectionPaths(root, NAME)
    paths.receipt("land_map", TILE).unlink(missing_ok=True)
    said = {"name": NAME, "source": {"kind": "safe", "path": str(root)}, "bands": BANDS, "map": {"stride": stride}}
    collection = Collection.model_validate({**said, "labels": {"kind": "worldcover", "path": str(root)}})
    clock = Clock()
    outcome = build_map(collection, paths, TILE)
    rows, cols = cube_info(paths.cube(TILE)).grid.positions(TILE_SIZE)  # type: ignore[union-attr]
    assert outcome.metadata["mapped_positions"] == rows * cols, "every position of a made cube is mapped"
    more = TILE_SIZE // (stride or TILE_SIZE) - 1
    overlap = more + 1
    clock.report(windows=(rows * overlap - more) * (cols * overlap - more))


def main() -> None:
    """Run one phase."""
    parser = argparse.ArgumentParser()
    parser.add_argument("phase", choices=["forward", "map"])
    parser.add_argument("root", type=Path)
    parser.add_argument("--stride", type=int)
    args = parser.parse_args()
    if args.phase == "forward":
        forward(args.root)
    else:
        whole_map(args.root, args.stride)


if __name__ == "__main__":
    main()
