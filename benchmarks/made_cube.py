"""Made cubes of any size, about as compressible as real scenes, and trainings over them without any other file."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agri_assets.cube.commit import commit_root, find_root, write_coordinates
from agri_assets.cube.open import cube_info
from agri_assets.cube.schema import BANDS_ARRAY, CubeInfo, Slot, shard_size
from agri_assets.cube.shards import ShardWriter
from agri_assets.cube.zarr_metadata import root_document
from agri_assets.loading.samples import SampleTable, position_samples
from agri_assets.models.contract import OFFSET_CONVENTIONS, ModelContract
from agri_assets.models.predictor import Predictor, torch_forward
from agri_assets.models.registry import MODELS, build_network, choose_backend
from agri_assets.progress import Meter
from agri_assets.scenes.grid import TileGrid
from agri_assets.splits.shards import positions
from agri_assets.splits.summary import RoleCount, SplitSummary
from agri_assets.training.device import device_name
from agri_assets.training.recipe import ModelName, Recipe
from agri_assets.training.recorder import Recorder
from agri_assets.training.task import Task

if TYPE_CHECKING:
    from agri_assets.training.torch_fit import TorchTraining

TILE, TILE_SIZE = "31TCJ", 64
BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
HYBRID: ModelName = "cnn_vit_hybrid"
DISTINCT = 4
"""Shards with pixels of their own; the others repeat them."""

MEAN, STD = 1500.0, 500.0


def made_cube(path: Path, size: int, slots: int = 1) -> Path:
    """A cube of (slots, bands, size, size); the files of later slots are hard links to those of the first.

    Args:
        path: Where to; kept if it is there already.
        size: Pixels along one side.
        slots: Dates.
    """
    if (path / "zarr.json").exists():
        return path
    shutil.rmtree(path, ignore_errors=True)
    info = _info(size, slots)
    document = root_document(info)
    writer = ShardWriter.open(path, BANDS_ARRAY, 0, info, document)
    blocks = [_pixels(number, info.shard_size) for number in range(DISTINCT)]
    for number, (y, x) in enumerate(info.shards):
        height, width = info.shard_shape(y, x)
        writer.write(y, x, np.ascontiguousarray(blocks[number % DISTINCT][:, :height, :width]))
    first = path / BANDS_ARRAY / "c" / "0"
    for slot in range(1, slots):
        shutil.copytree(first, first.with_name(str(slot)), copy_function=os.link)
    write_coordinates(path, info, document)
    commit_root(find_root(path), document)
    return path


def _info(size: int, slots: int) -> CubeInfo:
    days = [str(np.datetime64("2023-01-01") + 5 * number) for number in range(slots)]
    made = [
        Slot(slot=number, date=day, scene_id=f"made_{number}", fingerprint="", active=True, digest="")
        for number, day in enumerate(days)
    ]
    shape = {"height": size, "width": size, "tile_size": TILE_SIZE, "shard_size": shard_size(TILE_SIZE)}
    grid = TileGrid(crs="EPSG:32631", transform=(10, 0, 300_000, 0, -10, 4_900_020), height=size, width=size)
    return CubeInfo(tile=TILE, bands=BANDS, units="reflectance", grid=grid, slots=tuple(made), **shape)


def _pixels(seed: int, edge: int) -> NDArray[np.uint16]:
    """Fields of some ten pixels with sensor noise: a shard of them shrinks to 0.6, as one of the sample scenes does."""
    random = np.random.default_rng(seed)
    fields = random.normal(MEAN, STD, (len(BANDS), edge // 16, edge // 16)).repeat(16, axis=1).repeat(16, axis=2)
    noise = random.normal(0, 25, fields.shape)
    return np.clip(fields + noise, 1, 10_000).astype(np.uint16)


def every_position(cube: Path) -> SampleTable:
    """Every position of every slot; the fields of a chessboard are agricultural."""
    info = cube_info(cube)
    rows, cols = positions(info)
    slot, row, col = (axis.ravel() for axis in np.indices((len(info.slots), rows, cols)))
    days = [one.date for one in info.slots]
    dates = [days[number] for number in slot.tolist()]
    return position_samples(info.tile, slot, row, col, dates, ["cell"] * len(slot), (row + col) % 2)


def made_task(cube: Path, model: ModelName, settings: Mapping[str, Any], folder: Path) -> Task:
    """A training of every position of a cube, with a small val.

    Args:
        cube: From `made_cube`.
        model: Name of the network.
        settings: Of the recipe.
        folder: The run folder.
    """
    choose_backend(MODELS[model].framework)
    recipe, samples = Recipe.model_validate(settings), every_position(cube)
    return Task(
        name=f"bench/{model}",
        model=model,
        framework=MODELS[model].framework,
        recipe=recipe,
        network=build_network(model, len(BANDS), TILE_SIZE, recipe.options),
        split=made_split(len(samples), BANDS, MEAN, STD),
        train=samples,
        val=samples.take(np.arange(min(256, len(samples)))),
        cubes={TILE: cube},
        device=device_name(),
        folder=folder,
    )


def made_training(cube: Path, model: ModelName, settings: Mapping[str, Any], folder: Path) -> "TorchTraining":
    """The same as `fit` sets it up for torch; see `made_task`."""
    import torch

    # here: each worker of a loader imports this module, and none of them trains
    from agri_assets.training.torch_fit import TorchTraining, decay_groups, make_fabric

    task = made_task(cube, model, settings, folder)
    recorder = Recorder(task.name, task.recipe.epochs, 0, Meter(task.name, task.steps))
    optimizer = torch.optim.AdamW(decay_groups(task.network, task.recipe.weight_decay), lr=1e-4)
    return TorchTraining(task, recorder, optimizer, make_fabric(task.recipe.precision))


def made_predictor(cube: Path) -> Predictor:
    """The hybrid as it is built, untrained: it takes as long as a trained one."""
    info = cube_info(cube)
    network = build_network(HYBRID, len(info.bands), info.tile_size, {})
    many = len(info.bands)
    contract = ModelContract(
        **{"model": HYBRID, "framework": "torch", "collection": "bench", "bands": info.bands, "units": info.units},
        **{"offset_convention": OFFSET_CONVENTIONS[info.units], "mean": (MEAN,) * many, "std": (STD,) * many},
        **{"tile_size": info.tile_size, "split_fingerprint": "", "proof": "none", "options": {}},
        **{"parameters": 0, "weights_digest": ""},
    )
    return Predictor(contract, torch_forward(network, contract))


def made_split(samples: int, bands: Sequence[str], mean: float, std: float) -> SplitSummary:
    """A split of which nothing is proved, and which nobody trains on in earnest."""
    return SplitSummary(
        **{"fingerprint": "", "proof": "none", "proof_detail": {}, "dropped": {}, "min_distance_m": {}},
        **{"counts": {"train": RoleCount(n=samples, positives=samples // 2, cells=1)}, "cubes": {TILE: ""}},
        **{"train_digest": "", "assignments_digest": "", "warnings": ("made for a benchmark",)},
        **{"bands": bands, "units": "reflectance", "mean": (mean,) * len(bands), "std": (std,) * len(bands)},
        **{"tile_size": TILE_SIZE, "seed": 0, "resolution": 6},
    )
