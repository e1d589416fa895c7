"""A made collection whose pixels tell the label, and runs of a model that reads them; for evaluation and maps."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agri_assets.config import Collection
from agri_assets.cube.index import read_index
from agri_assets.cube.open import cube_info
from agri_assets.models.contract import OFFSET_CONVENTIONS, ModelContract
from agri_assets.splits.build import build_splits
from agri_assets.splits.summary import read_summary
from agri_assets.store.commit import write_json
from agri_assets.store.fingerprint import fingerprint, run_name
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome
from tests.splits import worlds


@dataclass(frozen=True)
class BrightnessModel:
    """Takes the mean of the first band for the probability; `contract` is that of its run."""

    contract: ModelContract

    def predict(self, pixels):
        full = 255 if self.contract.units == "dn8" else 10_000
        noise = float(self.contract.options["noise"])
        bright = pixels[:, 0].mean(axis=(1, 2)) / full
        wobble = np.sin(bright * 9_999.0)  # repeatable, and the same for a sample in any batch
        return np.clip(bright + noise * wobble, 0, 1)


@dataclass(frozen=True)
class Study:
    """A collection with cubes and splits."""

    collection: Collection
    paths: CollectionPaths

    def train(self, model: str, noise: float = 0.0, split: str | None = None) -> str:
        """Leave behind what a training run does, weights aside; returns the run."""
        summary = read_summary(self.paths)
        made = fingerprint(model=model, noise=noise, split=split or summary.fingerprint)
        folder = self.paths.model_run(model, run_name(made))
        ModelContract(
            model=model,
            framework="torch",
            collection=self.collection.name,
            bands=summary.bands,
            units=summary.units,
            offset_convention=OFFSET_CONVENTIONS[summary.units],
            mean=summary.mean,
            std=summary.std,
            tile_size=summary.tile_size,
            split_fingerprint=split or summary.fingerprint,
            proof=summary.proof,
            options={"noise": noise},
            parameters=7,
            weights_digest="none",
        ).save(folder)
        done = Outcome(path=folder, fingerprint=made, data_version=made, summary="made", metadata={"epochs": 3})
        write_json(folder / "complete.json", done.model_dump(mode="json"))
        write_json(self.paths.model(model) / "current.json", {"run": run_name(made), "fingerprint": made})
        return run_name(made)

    def with_settings(self, **settings) -> "Study":
        """The same data under other evaluation settings."""
        changed = self.collection.evaluation.model_copy(update=settings)
        return Study(self.collection.model_copy(update={"evaluation": changed}), self.paths)


def scene_study(root: Path) -> Study:
    """Two overlapping tiles of two dates; a position is as bright as it holds cropland, give or take some."""
    world = worlds.two_tiles(root).build()
    random = np.random.default_rng(1)
    for tile, path in world.cubes.items():
        info, index = cube_info(path), read_index(world.paths.tiles(tile))
        pixels = np.ones((len(info.slots), len(info.bands), info.height, info.width), dtype=np.uint16)
        grid = pixels[:, 0].reshape(len(info.slots), info.height // 32, 32, info.width // 32, 32)
        bright = np.clip(index["cropland_fraction"] + random.normal(0, 0.15, len(index)), 0.01, 0.99)
        grid[index["slot"], index["row"], :, index["col"], :] = (bright * 10_000).to_numpy()[:, None, None]
        pixels[:, 1] = pixels[:, 0] // 2 + 1
        shutil.rmtree(path)
        worlds.write_cube(path, info, pixels)
    build_splits(world.collection, world.paths)
    return Study(world.collection, world.paths)


def archive_study(root: Path) -> Study:
    """An archive with published lists for val and test."""
    for name in ("val", "test"):
        (root / name).write_text("made\n")
    collection, paths = worlds.made_archive(root, {name: str(root / name) for name in ("val", "test")})
    build_splits(collection, paths)
    return Study(collection, paths)
