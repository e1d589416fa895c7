"""The phases that `benchmarks.scale` measures, each run as a process: dates appended or linked, tiles split."""

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from agri_assets.config import Collection
from agri_assets.cube.build import build_cube
from agri_assets.splits.assignments import AssignmentWriter
from agri_assets.splits.rows import Texts, index_blocks
from agri_assets.store.commit import staged, write_json
from agri_assets.store.layout import CollectionPaths
from benchmarks.cube_phases import TILE, collection_of, prepare
from benchmarks.phases import Clock
from benchmarks.scale_dates import fill_dates, list_dates


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


def assign(collection: Collection, paths: CollectionPaths) -> None:
    """Put every sample of the cube into train: labels and clouds do not matter here, every pixel does."""
    from benchmarks.made_cube import made_split

    clock, count = Clock(), 0
    with staged(paths.assignments) as file, AssignmentWriter(file) as writer:
        for block in index_blocks(paths, TILE, ("tile_id", "date", "cell", "label")):
            nulls = np.full(block.num_rows, -1, dtype=np.int32)
            writer.write(TILE, block, split=Texts(nulls + 1, ("train",)), reason=Texts(nulls, ()))
            count += block.num_rows
    write_json(paths.split_summary, made_split(count, collection.bands, 0.0, 0.0).model_dump(mode="json"))
    clock.report()


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
    parser.add_argument("phase", choices=["append", "again", "list", "fill", "assign", "splits"])
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
        "assign": lambda: assign(collection, paths),
        "splits": lambda: splits(args.root),
    }
    phases[args.phase]()


if __name__ == "__main__":
    main()
