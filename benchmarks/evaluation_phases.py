"""The phases that `benchmarks.evaluation` measures, each a process: imports, forward passes alone, predicting."""

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.phases import Clock

BATCHES = 40
"""Forward passes enough to know their rate."""

SETTLE_S = 2.0
"""Time for the memory of a phase to be looked at."""


def imports() -> None:
    """All that a report imports to predict, and nothing else."""
    import torch

    import agri_assets.evaluation.report

    clock = Clock()
    time.sleep(SETTLE_S)
    clock.report(modules=[torch.__name__, agri_assets.evaluation.report.__name__])


def forward(cube: Path) -> None:
    """The model on one batch that stays in memory."""
    from agri_assets.evaluation.predictions import BATCH
    from benchmarks.made_cube import made_predictor

    predictor = made_predictor(cube)
    pixels = np.full((BATCH, len(predictor.contract.bands), 64, 64), 1500, dtype=np.uint16)
    predictor.predict(pixels)
    clock = Clock()
    for _ in range(BATCHES):
        predictor.predict(pixels)
    clock.report(samples=BATCHES * BATCH)


def predicted(cube: Path, samples: int) -> None:
    """The predictions of a report, and their table."""
    from agri_assets.evaluation.predictions import predict, prediction_frame
    from benchmarks.made_cube import every_position, made_predictor

    predictor, table = made_predictor(cube), every_position(cube)
    table = table.take(np.arange(min(samples, len(table))))
    predictor.predict(np.full((1, len(predictor.contract.bands), 64, 64), 1500, dtype=np.uint16))
    clock = Clock()
    found = predict(predictor, table, {table.tiles[0]: cube}, "predicting")
    frame = prediction_frame(table, found, "test")
    clock.report(samples=len(frame))


def main() -> None:
    """Run one phase."""
    parser = argparse.ArgumentParser()
    parser.add_argument("phase", choices=["imports", "forward", "predicted"])
    parser.add_argument("cube", type=Path, nargs="?")
    parser.add_argument("samples", type=int, nargs="?")
    args = parser.parse_args()
    if args.phase == "imports":
        imports()
    elif args.phase == "forward":
        forward(args.cube)
    else:
        predicted(args.cube, args.samples)


if __name__ == "__main__":
    main()
