"""Fixtures: two small tiles with their split, and the samples of a role with the pixels they must bring."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from agri_assets.loading.samples import SampleTable, load_samples
from agri_assets.splits.build import build_splits

_WORLDS = Path(__file__).parents[1] / "splits" / "worlds.py"


@pytest.fixture(scope="session")
def split_world(tmp_path_factory):
    """Two overlapping tiles on disk, their split built."""
    spec = importlib.util.spec_from_file_location("made_worlds_for_loading", _WORLDS)
    assert spec is not None
    assert spec.loader is not None
    worlds = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(worlds)
    world = worlds.two_tiles(tmp_path_factory.mktemp("loading")).build()
    build_splits(world.collection, world.paths)
    return world


@pytest.fixture(scope="session")
def train(split_world) -> SampleTable:
    return load_samples(split_world.paths, "train")


@pytest.fixture(scope="session")
def expected(split_world, train) -> np.ndarray:
    """The pixels of every train sample, straight from what was written."""
    tiles = []
    for number in range(len(train)):
        y, x = train.row[number] * 32, train.col[number] * 32
        pixels = split_world.pixels[train.tiles[train.tile[number]]]
        tiles.append(pixels[train.slot[number], :, y : y + 32, x : x + 32])
    return np.stack(tiles)
