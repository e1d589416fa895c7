"""Predict samples in streaming order, and keep the predictions so that every figure can be recomputed."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from agri_assets.evaluation.metrics import Floats
from agri_assets.loading.samples import SampleTable
from agri_assets.loading.stream import Batch, TileStream
from agri_assets.progress import meter
from agri_assets.store.commit import staged

BATCH = 128
"""Samples per forward pass: large enough for a device to be busy, 10 MB of pixels at ten bands."""

COLUMNS = ["tile_id", "date", "label", "probability", "split", "cell"]
"""Columns of `predictions.parquet` (contract 7)."""


class Predicts(Protocol):
    """What is asked of a model here."""

    def predict(self, pixels: npt.NDArray[np.uint16]) -> npt.NDArray[np.float64]:
        """Probabilities (b,) of agricultural for pixels (b, bands, height, width)."""


def predict_batches(
    predictor: Predicts, samples: SampleTable, cubes: Mapping[str, Path], label: str
) -> Iterator[tuple[Batch, Floats]]:
    """Each batch in streaming order with its probabilities; memory does not grow with the number of samples."""
    stream = TileStream(samples, dict(cubes), batch_size=BATCH, seed=0, shuffle=False)
    with meter(label, len(samples.label), "samples") as progress:
        for batch in stream:
            yield batch, predictor.predict(batch.pixels)
            progress.advance(len(batch.index))


def predict(predictor: Predicts, samples: SampleTable, cubes: Mapping[str, Path], label: str) -> Floats:
    """Probabilities of all samples, in the order of the samples."""
    probability = np.full(len(samples.label), np.nan)
    for batch, found in predict_batches(predictor, samples, cubes, label):
        probability[batch.index] = found
    return probability


def prediction_frame(samples: SampleTable, probability: Floats, split: str) -> pd.DataFrame:
    """Predictions with the columns of `COLUMNS`, in the order of the samples."""
    values = {
        "tile_id": samples.tile_id,
        "date": samples.date,
        "label": samples.label.astype(np.int64),
        "probability": probability,
        "split": split,
        "cell": samples.cell,
    }
    return pd.DataFrame(values)[COLUMNS]


def write_predictions(frame: pd.DataFrame, path: Path) -> None:
    """Write `predictions.parquet` atomically."""
    with staged(path) as staging:
        frame.to_parquet(staging, index=False)
