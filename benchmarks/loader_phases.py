"""The phases that `benchmarks.loader` measures, each run as a process over the same shards: bare, ours, random."""

import argparse
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import zarr
from torch.utils.data import DataLoader, Dataset, RandomSampler

from agri_assets.cube.open import cube_info, open_reflectance, read_block
from agri_assets.loading.augment import NONE, Augmentation
from agri_assets.loading.torch_data import TileLoader, make_loader
from benchmarks.made_cube import every_position
from benchmarks.phases import Clock

WORKERS, BATCH, WINDOW = 2, 64, 8
PACE = 5000
TURNED = Augmentation(orientations=True)
AUGMENTED = Augmentation(orientations=True, band_dropout=0.2, coarse_dropout=0.2, fill=(2000,) * 10)
PLAIN = "zarr.core.codec_pipeline.BatchedCodecPipeline"
RANDOM_BATCHES = 40
"""Enough of what is slow to know its rate."""


def _read_shards(cube: Path, places: list[tuple[int, int, int]]) -> int:
    """Read shards as an array gives them; returns how many tiles that were."""
    info, array = cube_info(cube), open_reflectance(cube)
    tiles = 0
    for slot, y, x in places:
        block = read_block(array, slot, y, x, info.shard_shape(y, x))
        tiles += (block.shape[1] // info.tile_size) * (block.shape[2] // info.tile_size)
    return tiles


def bare(cube: Path) -> None:
    """Every shard once by the zarrs pipeline, and nothing more, in as many processes."""
    info = cube_info(cube)
    places = [(slot.slot, y, x) for slot in info.slots for y, x in info.shards]
    parts = [places[worker::WORKERS] for worker in range(WORKERS)]
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        # imports, stores and the file cache are warm afterwards
        list(pool.map(_read_shards, [cube] * WORKERS, parts))
        clock = Clock()
        tiles = sum(pool.map(_read_shards, [cube] * WORKERS, parts))
        clock.report(tiles=tiles)


def ours(cube: Path, augmentation: Augmentation = NONE) -> None:
    """An epoch of the project's own loader, after one that warms it up."""
    loader = _loader(cube, augmentation)
    for batch in loader:
        assert batch.pixels.shape[1:]
    loader.dataset.set_epoch(1)
    clock, tiles = Clock(), 0
    for batch in loader:
        tiles += len(batch.pixels)
    clock.report(tiles=tiles)


def consumer(cube: Path) -> None:
    """The same for a consumer that takes `PACE` tiles a second: it sleeps, and so costs no processor."""
    loader = _loader(cube, NONE)
    _waits(loader)
    loader.dataset.set_epoch(1)
    clock, (tiles, waited) = Clock(), _waits(loader)
    clock.report(tiles=tiles, wait_s=waited)


def _loader(cube: Path, augmentation: Augmentation) -> TileLoader:
    samples = every_position(cube)
    return make_loader(
        samples, {samples.tiles[0]: cube}, BATCH, shuffle=True, shuffle_shards=WINDOW, workers=WORKERS,
        augmentation=augmentation,
    )  # fmt: skip


def _waits(loader: TileLoader) -> tuple[int, float]:
    """Tiles of an epoch, and seconds that were waited for them."""
    tiles, waited, asked = 0, 0.0, time.perf_counter()
    for batch in loader:
        waited += time.perf_counter() - asked
        tiles += len(batch.pixels)
        time.sleep(len(batch.pixels) / PACE)
        asked = time.perf_counter()
    return tiles, waited


class RandomTiles(Dataset):
    """Tiles by number, each read by itself with zarr-python's own pipeline."""

    def __init__(self, cube: Path) -> None:
        self.cube, self.samples, self.array = cube, every_position(cube), None

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, number: int) -> np.ndarray:
        if self.array is None:
            zarr.config.set({"codec_pipeline.path": PLAIN})
            self.array = zarr.open_group(self.cube, mode="r")["reflectance"]
            self.size = cube_info(self.cube).tile_size
        slot, row, col = (int(axis[number]) for axis in (self.samples.slot, self.samples.row, self.samples.col))
        y, x = row * self.size, col * self.size
        return self.array[slot, :, y : y + self.size, x : x + self.size]


def random(cube: Path) -> None:
    """Random tiles by a map-style dataset."""
    dataset = RandomTiles(cube)
    sampler = RandomSampler(dataset, num_samples=(RANDOM_BATCHES + WORKERS) * BATCH)
    timed_batches(
        lambda: DataLoader(dataset, BATCH, sampler=sampler, num_workers=WORKERS, multiprocessing_context="spawn")
    )


def timed_batches(make: Callable[[], Iterator]) -> None:
    """Some batches, after the first ones, which wait for the workers to start."""
    batches = iter(make())
    for _ in range(WORKERS):
        next(batches)
    clock, tiles = Clock(), 0
    for batch in batches:
        tiles += len(batch)
    clock.report(tiles=tiles)


PHASES = {
    "bare": bare,
    "ours": ours,
    "turned": partial(ours, augmentation=TURNED),
    "augmented": partial(ours, augmentation=AUGMENTED),
    "consumer": consumer,
    "random": random,
}


def main() -> None:
    """Run one phase."""
    parser = argparse.ArgumentParser()
    parser.add_argument("phase", choices=PHASES)
    parser.add_argument("cube", type=Path)
    args = parser.parse_args()
    PHASES[args.phase](args.cube)


if __name__ == "__main__":
    main()
