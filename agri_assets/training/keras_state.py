"""Checkpoints of a Keras training: all that a resume needs, in one safetensors file that appears whole."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from agri_assets.errors import TrainingError, first_line
from agri_assets.objects import local_copy
from agri_assets.store.commit import staged, sweep
from agri_assets.training.history import History
from agri_assets.training.recorder import Running


class Progress(BaseModel):
    """How far a training has come.

    Attributes:
        backend: What Keras runs on; each has random numbers and kernels of its own.
        step: Steps trained.
        history: The finished epochs.
        running: Figures of the epoch that is not.
    """

    model_config = ConfigDict(frozen=True)

    backend: str
    step: int
    history: History
    running: Running


def save_state(path: Path, model: Any, progress: Progress) -> None:
    """Write all variables of a `TileTraining`, its averages and its optimiser with the progress, atomically."""
    sweep(path)  # what a killed process left half-written
    values = (np.array(keras.ops.convert_to_numpy(variable.value)) for variable in _state(model))
    arrays = {f"{place:05d}": value for place, value in enumerate(values)}
    with staged(path) as staging:
        save_file(arrays, staging, metadata={"progress": progress.model_dump_json()})


def load_state(path: Path, model: Any) -> Progress:
    """Put back what `save_state` wrote.

    Raises:
        TrainingError: It was written on another backend, is damaged, or not of this network.
    """
    try:
        return _load(path, model)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        told = first_line(error)
        raise TrainingError(f"{path}: not a usable checkpoint ({told}); delete it to start over") from None


def _load(path: Path, model: Any) -> Progress:
    with local_copy(path) as copy, safe_open(copy, framework="numpy") as file:
        progress = Progress.model_validate_json(file.metadata()["progress"])
        if progress.backend != keras.backend.backend():
            raise TrainingError(
                f"{path}: was begun on Keras's {progress.backend} backend; set KERAS_BACKEND={progress.backend} to go "
                "on, or delete it to start over"
            )
        for name, variable in zip(sorted(file.keys()), _state(model), strict=True):
            variable.assign(file.get_tensor(name))
    return progress


def _state(model: Any) -> list[Any]:
    """Variables of model and optimiser; random states are set by the step, and the running loss is in the progress."""
    passing = {id(variable) for variable in [*model.metrics_variables, *model.seeds]}
    held = {id(item): item for item in [*model.variables, *model.averages, *model.optimizer.variables]}
    return [item for key, item in held.items() if key not in passing]
