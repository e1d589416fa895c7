"""A small labelled archive, built and split by the real stages, that networks learn in seconds."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agri_assets.config import Collection
from agri_assets.store.layout import CollectionPaths

EDGE = 32


@dataclass(frozen=True)
class World:
    """A collection that can be trained on."""

    collection: Collection
    paths: CollectionPaths


def write_images(folder: Path, per_class: int, *, shuffled: bool, seed: int = 0) -> None:
    """Fields have stripes, the rest has not; shuffled labels leave nothing to learn."""
    random = np.random.default_rng(seed)
    striped = np.repeat([True, False], per_class)
    labels = random.permutation(striped) if shuffled else striped
    for number, (stripes, field) in enumerate(zip(striped, labels, strict=True)):
        image = random.normal(110, 20, (EDGE, EDGE, 3))
        if stripes:
            image += 25 * np.sin(np.arange(EDGE) * random.uniform(0.8, 1.6) + random.uniform(0, 6))[None, :, None]
        target = folder / ("Field" if field else "Forest")
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.clip(1, 255).astype(np.uint8)).save(target / f"{target.name}_{number}.png")


def write_lakes(folder: Path, count: int) -> None:
    """A third class: smooth and dark."""
    random = np.random.default_rng(1)
    folder.mkdir(parents=True)
    for number in range(count):
        image = random.normal(60, 5, (EDGE, EDGE, 3))
        Image.fromarray(image.clip(1, 255).astype(np.uint8)).save(folder / f"{folder.name}_{number}.png")


def build_world(root: Path, per_class: int = 60, *, shuffled: bool = False, lakes: bool = False) -> World:
    from agri_assets.cube.archive import build_archive_cube
    from agri_assets.splits.build import build_splits

    write_images(root / "images", per_class, shuffled=shuffled)
    if lakes:
        write_lakes(root / "images" / "Lake", per_class)
    collection = Collection.model_validate(
        {
            "name": "tiny",
            "source": {"kind": "archive", "path": str(root / "images")},
            "bands": ["B04", "B03", "B02"],
            "tile_size": EDGE,
            "labels": {"kind": "classes", "agricultural": ["Field"]},
            "split": {"val": 0.3, "test": 0.2},
            "recipe": {
                "epochs": 2,
                "batch_size": 16,
                "ema_decay": 0.9,
                "options": {"width": 32, "depth": 1, "heads": 2},
                "learning_rate": 3e-3,
            },
            "models": {"cnn_vit_hybrid": {}, "resnet50": {"options": {}}, "efficientnet_b3": {"options": {}}},
        }
    )
    paths = CollectionPaths(root / "data", "tiny")
    build_archive_cube(collection, paths)
    build_splits(collection, paths)
    return World(collection, paths)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> World:
    """One small collection; tests that write train into a copy."""
    return build_world(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def world(built: World, tmp_path: Path) -> World:
    """The small collection with a models folder of its own."""
    shutil.copytree(built.paths.root, tmp_path / "data")
    return World(built.collection, CollectionPaths(tmp_path / "data", "tiny"))


@pytest.fixture
def make_world() -> Callable[..., World]:
    """Builds another small collection."""
    return build_world
