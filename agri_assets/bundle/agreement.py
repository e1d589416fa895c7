"""Whether the portable networks are the trained one: the same test tiles through all of them, tile by tile."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from agri_assets.bundle.contract import Agreement, Int8
from agri_assets.bundle.runner import Runner
from agri_assets.errors import EvaluationError, ModelError
from agri_assets.evaluation.metrics import score
from agri_assets.evaluation.predictions import BATCH, Predicts, predict
from agri_assets.evaluation.temperature import scaled
from agri_assets.loading.samples import SampleTable
from agri_assets.loading.stream import TileStream
from agri_assets.objects import local_copy

TOLERANCE = 1e-4
"""Largest difference in probability that rounding may make."""

COMPARED = 1000
"""Test tiles that the trained network predicts again."""

MEASURED = 5000
"""Test tiles that the 8-bit variant is measured on."""

CALIBRATION = 512
"""Train tiles that ranges of activations are from."""

CALIBRATION_BATCH = 16
"""Of these at once: all activations of a batch are in memory together."""

LOSS_LIMIT = 0.3
"""Points of ROC AUC that the 8-bit variant may lose."""

TIMED = 64
"""Tiles that speed is measured on."""

ROUNDS = 3

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Trial:
    """Test tiles with what was predicted of them when the model was reported.

    Attributes:
        samples: The tiles.
        cubes: Where their pixels are.
        stored: Their stored probabilities.
    """

    samples: SampleTable
    cubes: Mapping[str, Path]
    stored: Floats

    def some(self, most: int) -> "Trial":
        """At most so many of the tiles, evenly taken."""
        which = evenly(len(self.samples), most)
        return Trial(self.samples.take(which), self.cubes, self.stored[which])

    def predict(self, predictor: Predicts, label: str) -> Floats:
        """Probabilities of the tiles, in order."""
        return predict(predictor, self.samples, self.cubes, label)


def evenly(count: int, most: int) -> npt.NDArray[np.intp]:
    """At most `most` of the numbers below `count`, evenly spread."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.intp)


def open_trial(samples: SampleTable, cubes: Mapping[str, Path], predictions: Path) -> Trial:
    """The test tiles with their stored predictions.

    Raises:
        EvaluationError: The stored predictions are of other tiles.
    """
    with local_copy(predictions) as file:
        frame = pd.read_parquet(file)
    frame = frame[frame["split"] == "test"]
    if frame["tile_id"].tolist() != samples.tile_id.tolist() or _days(frame["date"]) != _days(pd.Series(samples.date)):
        raise EvaluationError(f"{predictions}: is not of the present test split; materialise the report again")
    return Trial(samples, cubes, frame["probability"].to_numpy(np.float64))


def _days(column: "pd.Series[str]") -> list[str | None]:
    return [None if pd.isna(day) else str(day) for day in column]


def compare(trial: Trial, trained: Predicts, temperature: float, portable: Runner, what: str) -> Agreement:
    """Predict some test tiles by the trained network and by its ONNX form, and hold both against what is stored.

    Raises:
        ModelError: They differ by more than `TOLERANCE`.
    """
    some = trial.some(COMPARED)
    mine = scaled(some.predict(trained, f"{what}: predicting again"), temperature)
    found = some.predict(portable, f"{what}: predicting by ONNX")
    network, stored = _largest(found, mine), _largest(found, some.stored)
    if not max(network, stored, _largest(mine, some.stored)) <= TOLERANCE:
        raise ModelError(
            f"{what}: on {len(mine)} test tiles ONNX differs by {network:.1e} from the network, and by {stored:.1e} "
            f"from the stored predictions (the network by {_largest(mine, some.stored):.1e}), more than "
            f"{TOLERANCE:g}; no bundle was made, report the model again or file a bug"
        )
    return Agreement(tiles=len(mine), network=network, stored=stored)


def _largest(one: Floats, other: Floats) -> float:
    return float(np.abs(one - other).max(initial=0.0))


def calibration_batches(train: SampleTable, cubes: Mapping[str, Path]) -> Iterator[npt.NDArray[np.uint16]]:
    """Batches of train tiles, evenly taken, one after the other."""
    some = train.take(evenly(len(train), CALIBRATION))
    for batch in TileStream(some, dict(cubes), batch_size=CALIBRATION_BATCH, seed=0, shuffle=False):
        yield batch.pixels


def measure_int8(trial: Trial, threshold: float, portable: Runner, int8: Runner, calibration: int, what: str) -> Int8:
    """What the 8-bit variant loses on test tiles, and how much faster it is."""
    some = trial.some(MEASURED)
    label = some.samples.label.astype(np.int64)
    before = score(label, some.stored, threshold)
    after = score(label, some.predict(int8, f"{what}: measuring int8"), threshold)
    rates = _rates(_timed_tiles(some), portable, int8)
    measured = Int8(
        calibration=calibration,
        tiles=len(label),
        roc_auc=before.roc_auc,
        roc_auc_int8=after.roc_auc,
        accuracy=before.accuracy or 0.0,
        accuracy_int8=after.accuracy or 0.0,
        speedup=rates[1] / rates[0],
        tiles_per_s=rates[1],
        shipped=True,
    )
    return measured.model_copy(update={"shipped": measured.loss <= LOSS_LIMIT})


def _timed_tiles(trial: Trial) -> npt.NDArray[np.uint16]:
    some = trial.some(min(TIMED, BATCH))
    batch = next(iter(TileStream(some.samples, dict(some.cubes), batch_size=TIMED, seed=0, shuffle=False)))
    pixels: npt.NDArray[np.uint16] = np.array(batch.pixels)
    return pixels


def _rates(pixels: npt.NDArray[np.uint16], *runners: Runner) -> list[float]:
    """Tiles per second of each, the best of some rounds in which they take turns."""
    best = [np.inf] * len(runners)
    for turn in range(ROUNDS + 1):
        spent = [_seconds(runner, pixels) for runner in runners]
        # the first turn only warms up
        best = [min(pair) for pair in zip(best, spent, strict=True)] if turn else best
    return [len(pixels) / seconds for seconds in best]


def _seconds(runner: Runner, pixels: npt.NDArray[np.uint16]) -> float:
    started = time.perf_counter()
    runner.predict(pixels)
    return time.perf_counter() - started
