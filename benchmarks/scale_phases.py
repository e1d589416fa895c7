"""The phases that `benchmarks.scale` measures, each run as a process: one date appended, one pass over all pixels."""

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from agri_assets.config import Collection
from agri_assets.cube.build import build_cube
from agri_assets.cube.index import read_index
from agri_assets.splits.assignments import arrange, write_table
from agri_assets.store.commit import staged
from agri_assets.store.layout import CollectionPaths
from benchmarks.cube_phases import TILE, collection_of, prepare
from benchmarks.phases import Clock
from benchmarks.scale_dates import fill_dates, list_dates

BATCH = 64


def append(collection: Collection, paths: CollectionPaths) -> None:
    """Everything upstream as it is now, then the stage `tile_cube`, which alone is timed."""
    prepare(collection, paths)
    again(collection, paths)


def again(collection: Collection, paths: CollectionPaths) -> None:
    """The stage `tile_cube`, with whatever the inventory lists."""
    clock = Clock()
    outcome = build_cube(collection, paths, TILE)
    clock.report(built=outcome.metadata["dates_built"], dates=outcome.metadata["dates"])


def fill(collection: Collection, paths: CollectionPaths, dates: int) -> None:
    """Give the cube so many dates, by links to the pixels of those it has; the stage then finds none to build."""
    list_dates(paths, TILE, dates)
    fill_dates(collection, paths, TILE)
    again(collection, paths)


def more_dates(paths: CollectionPaths, dates: int) -> None:
    """List so many dates, of which the cube may lack some."""
    clock = Clock()
    list_dates(paths, TILE, dates)
    clock.report()


def assign(paths: CollectionPaths) -> None:
    """Put every sample of the cube into train: labels and clouds do not matter here, every pixel does."""
    clock, index = Clock(), read_index(paths.tiles(TILE))
    rows = index.assign(split="train", reason=None, label=index["label"].fillna(0))
    with staged(paths.assignments) as file:
        write_table(file, arrange(rows))
    clock.report(samples=len(rows))


def stream(paths: CollectionPaths) -> None:
    """One pass of the project's own loader over all samples, in shuffled order; every byte is added up."""
    from agri_assets.loading.samples import load_samples
    from agri_assets.loading.torch_data import make_loader
    from agri_assets.progress import meter

    clock = Clock()
    samples = load_samples(paths, "train")
    loader = make_loader(samples, {TILE: paths.cube(TILE)}, BATCH, shuffle=True)
    size, total = 0, np.uint64(0)
    with meter("streaming", len(samples), "samples") as progress:
        for batch in loader:
            pixels = batch.pixels.numpy()
            size += pixels.nbytes
            # eight bytes at a time, and past the largest number from zero on: as fast as memory is read
            total += pixels.reshape(-1).view(np.uint64).sum(dtype=np.uint64)
            progress.advance(len(pixels), f"{size / 1e9:.1f} GB")
    clock.report(samples=len(samples), gb=size / 1e9, total=int(total))


def splits(root: Path) -> None:
    """The stage `splits` over made indexes of many tiles."""
    from benchmarks.made_indexes import made_collection, run_splits

    collection, paths = made_collection(root)
    clock = Clock()
    run_splits(collection, paths)
    clock.report()


def main() -> None:
    """Run one phase."""
    logging.basicConfig(level=logging.WARNING, format="    %(message)s", stream=sys.stderr)
    logging.getLogger("agri_assets.progress").setLevel(logging.INFO)
    parser = argparse.ArgumentParser()
    parser.add_argument("phase", choices=["append", "again", "list", "fill", "assign", "stream", "splits"])
    parser.add_argument("root", type=Path)
    parser.add_argument("--scenes", type=Path, required=True)
    parser.add_argument("--cover", type=Path, required=True)
    parser.add_argument("--dates", type=int, default=1)
    args = parser.parse_args()
    collection, paths = collection_of("safe", args.scenes, args.cover), CollectionPaths(args.root, "bench")
    phases: dict[str, Callable[[], None]] = {
        "append": lambda: append(collection, paths),
        "again": lambda: again(collection, paths),
        "list": lambda: more_dates(paths, args.dates),
        "fill": lambda: fill(collection, paths, args.dates),
        "assign": lambda: assign(paths),
        "stream": lambda: stream(paths),
        "splits": lambda: splits(args.root),
    }
    phases[args.phase]()


if __name__ == "__main__":
    main()
