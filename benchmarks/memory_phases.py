"""The phases that `benchmarks.memory` measures, each run as a process: imports, pixels in memory, a training.

What trains is imported where it is used, since each worker of a loader imports this module.
"""

import argparse
import itertools
import tempfile
import time
from pathlib import Path

import numpy as np

from agri_assets.cube.open import cube_info
from agri_assets.loading.torch_data import make_loader
from agri_assets.progress import meter
from agri_assets.splits.shards import ShardReader
from benchmarks.made_cube import made_training
from benchmarks.phases import Clock

BATCH, STEPS = 64, 400
"""Steps enough for every lane to have read and forgotten shards."""

SMALL = {"width": 16, "depth": 1, "heads": 2, "stride": 4}
"""A network so small that its own memory hardly counts."""

SETTLE_S = 2.0
"""Time for the memory of a phase to be looked at."""


def imports() -> None:
    """All that a training imports, and nothing else."""
    import agri_assets.training.run
    import agri_assets.training.torch_fit

    clock = Clock()
    time.sleep(SETTLE_S)
    clock.report(modules=[agri_assets.training.run.__name__, agri_assets.training.torch_fit.__name__])


def resident(cube: Path) -> None:
    """Every tile of the cube in one array, as a training that keeps its split in memory would."""
    import agri_assets.training.torch_fit  # noqa: F401  # it would import as much

    info, reader, clock = cube_info(cube), ShardReader.open(cube), Clock()
    shards = len(info.slots) * len(info.shards)
    each = (info.shard_size // info.tile_size) ** 2
    tiles = np.empty((shards * each, *reader.layout.tile_shape), dtype=np.uint16)
    for number in range(shards):
        tiles[number * each : (number + 1) * each] = reader.read(number)
    time.sleep(SETTLE_S)
    clock.report(tiles=len(tiles))


def stream(cube: Path) -> None:
    """The steps of a training that reads with two workers."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"epochs": 1, "batch_size": BATCH, "options": SMALL}
        training = made_training(cube, "cnn_vit_hybrid", settings, Path(folder))
        task, clock = training.task, Clock()
        training.network.train()
        batches = itertools.islice(make_loader(**task.reading(training=True), workers=2), STEPS)
        with meter("steps", min(STEPS, task.steps)) as progress:
            for batch in batches:
                training.train_step(batch)
                progress.advance()
        clock.report(steps=training.step)


def main() -> None:
    """Run one phase."""
    parser = argparse.ArgumentParser()
    parser.add_argument("phase", choices=["imports", "resident", "stream"])
    parser.add_argument("cube", type=Path, nargs="?")
    args = parser.parse_args()
    if args.phase == "imports":
        imports()
    else:
        {"resident": resident, "stream": stream}[args.phase](args.cube)


if __name__ == "__main__":
    main()
