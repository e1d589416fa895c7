"""Predicting all windows of a tile, unit by unit; each unit is kept as soon as it is finished."""

from collections.abc import Iterator

import numpy as np

from agri_assets.evaluation.predictions import Predicts
from agri_assets.evaluation.temperature import scaled
from agri_assets.loading.ahead import read_ahead
from agri_assets.maps.quicklook import Mosaic
from agri_assets.maps.reading import WindowReader
from agri_assets.maps.windows import Floats, Unit
from agri_assets.maps.work import Finished, Work
from agri_assets.progress import Meter, meter

DEPTH = 2
"""Batches of windows that are read ahead."""


def predict_windows(
    predictor: Predicts, temperature: float, reader: WindowReader, work: Work, mosaic: Mosaic, label: str
) -> Floats:
    """Probabilities of all windows, (rows, columns), NaN where not usable.

    Args:
        predictor: The model.
        temperature: That its logits are divided by.
        reader: Of the windows.
        work: Where finished units are kept.
        mosaic: Is filled with the true colours of the very pixels that are mapped.
        label: What is being done, for the progress.
    """
    probability = np.full(reader.grid.shape, np.nan)
    planned = {unit: len(reader.planned(unit)[0]) for unit in reader.grid.units}
    todo: list[Unit] = []
    for unit in planned:
        if (finished := work.load(unit)) is None:
            todo.append(unit)
        else:
            _put(unit, finished, reader, probability, mosaic)
    with meter(label, sum(planned.values()), "windows") as progress:
        progress.before = progress.done = sum(planned.values()) - sum(planned[unit] for unit in todo)
        for unit, finished in _finished(predictor, temperature, reader, todo, progress):
            work.save(unit, finished)
            _put(unit, finished, reader, probability, mosaic)
    return probability


def _finished(
    predictor: Predicts, temperature: float, reader: WindowReader, units: list[Unit], progress: Meter
) -> Iterator[tuple[Unit, Finished]]:
    """The units, each as soon as its last window is predicted."""
    made: Floats | None = None
    for piece in read_ahead(reader.pieces(iter(units)), DEPTH):
        rows, cols = reader.grid.part(piece.unit)
        if made is None:
            made = np.full((rows.stop - rows.start, cols.stop - cols.start), np.nan)
        if len(piece.row):
            made[piece.row - rows.start, piece.col - cols.start] = scaled(predictor.predict(piece.pixels), temperature)
            progress.advance(len(piece.row))
        if piece.view is not None:
            yield piece.unit, Finished(made, piece.view)
            made = None


def _put(unit: Unit, finished: Finished, reader: WindowReader, probability: Floats, mosaic: Mosaic) -> None:
    probability[reader.grid.part(unit)] = finished.probability
    mosaic.view[reader.grid.part_positions(unit)] = finished.view
