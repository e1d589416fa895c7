"""The training of a Keras network, with `Model.fit`: the same schedule, quantities and files as the torch side."""

import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from agri_assets.errors import TrainingError
from agri_assets.loading.keras_data import TileSequence
from agri_assets.models.keras_parts import on_pixels
from agri_assets.objects import local_copy
from agri_assets.store.commit import staged
from agri_assets.training.device import device_name
from agri_assets.training.history import Floats, History
from agri_assets.training.recipe import Recipe
from agri_assets.training.recorder import Recorder
from agri_assets.training.schedule import average_decay, learning_rate
from agri_assets.training.task import Task

CHECKPOINT = "last.safetensors"

POLICIES = {"32": "float32", "16-mixed": "mixed_float16", "bf16-mixed": "mixed_bfloat16"}
"""Keras's names of the recipe's precisions."""

NOT_DECAYED = ["bias", "gamma", "beta"]
"""Variables that weight decay leaves alone: biases, and scales and offsets of norms."""


class AveragedWeights:
    """Exponential moving average of a network's weights and batch statistics."""

    def __init__(self, network: Any, decay: float) -> None:
        self.network = network
        self.decay = decay
        self.values = [keras.ops.copy(variable.value) for variable in network.weights]

    def update(self, step: int) -> None:
        """Move towards the network's present weights, after step `step` (from 0)."""
        share = 1.0 - average_decay(step, self.decay)
        for place, variable in enumerate(self.network.weights):
            old = self.values[place]
            self.values[place] = keras.ops.stop_gradient(old + share * (variable.value - old))

    def swap(self) -> None:
        """Exchange the network's weights with the average; a second call undoes it."""
        current = [keras.ops.copy(variable.value) for variable in self.network.weights]
        for variable, value in zip(self.network.weights, self.values, strict=True):
            variable.assign(value)
        self.values = current


class EpochLoop(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
    """What happens around the steps of `fit`: schedule, averaged weights, timing, validation, files."""

    def __init__(self, task: Task, recorder: Recorder, data: TileSequence, average: AveragedWeights | None) -> None:
        super().__init__()
        self.task, self.recorder, self.data, self.average = task, recorder, data, average
        self.val = TileSequence(**task.reading(training=False))
        self.global_step = self.recorder.epoch * task.epoch_steps
        self._idle_since = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Choose the epoch's order and start the clock."""
        self.data.set_epoch(epoch)
        self.recorder.start_epoch()
        self._idle_since = time.perf_counter()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """The batch is here: count the wait, set the step's learning rate."""
        self.recorder.waited(time.perf_counter() - self._idle_since)
        recipe = self.task.recipe
        self.model.optimizer.learning_rate = learning_rate(
            self.global_step, self.task.steps, recipe.learning_rate, recipe.warmup
        )

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Average the weights, count the step, look at the loss (Keras's is the mean over the epoch so far)."""
        if self.average is not None:
            self.average.update(self.global_step)
        self.global_step += 1
        size = self.task.recipe.batch_size
        self.recorder.step(min(size, len(self.task.train) - batch * size))
        self.recorder.check(float(logs["loss"]))
        self._idle_since = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Validate with the averaged weights, keep the best, write the state."""
        self.recorder.end_steps()
        if self.average is not None:
            self.average.swap()
        logits, labels = self._validate()
        self.recorder.end_epoch(float(logs["loss"]), float(self.model.optimizer.learning_rate), logits, labels)
        if self.recorder.history.improved:
            self.task.save_best(self.task.network)
        if self.average is not None:
            self.average.swap()
        save_state(self.task.checkpoints / CHECKPOINT, self.model, self.average, self.recorder.history)
        self.model.stop_training = self.recorder.stopped

    def _validate(self) -> tuple[Floats, Floats]:
        batches = [self.val[number] for number in range(len(self.val))]
        logits = [self.model.predict_on_batch(pixels)[:, 0] for pixels, _ in batches]
        return np.concatenate(logits), np.concatenate([label for _, label in batches])


def save_state(path: Path, model: Any, average: AveragedWeights | None, history: History) -> None:
    """Write all that a resume needs, atomically: variables of model and optimiser, averages, history."""
    values = [*_state(model), *(average.values if average else [])]
    arrays = {f"{place:05d}": np.array(keras.ops.convert_to_numpy(value)) for place, value in enumerate(values)}
    with staged(path) as staging:
        save_file(arrays, staging, metadata={"history": history.model_dump_json()})


def load_state(path: Path, model: Any, average: AveragedWeights | None) -> History:
    """Put back what `save_state` wrote; returns the history."""
    variables = _state(model)
    with local_copy(path) as copy, safe_open(copy, framework="numpy") as file:
        history = History.model_validate_json(file.metadata()["history"])
        values = [file.get_tensor(name) for name in sorted(file.keys())]
    for variable, value in zip(variables, values, strict=False):
        variable.assign(value)
    if average is not None:
        average.values = [keras.ops.convert_to_tensor(value) for value in values[len(variables) :]]
    return history


def _state(model: Any) -> list[Any]:
    """Variables of model (with its random states) and optimiser; the running means of metrics begin anew anyway."""
    metrics = {id(variable) for metric in model.metrics for variable in metric.variables}
    return [item for item in model.variables if id(item) not in metrics] + list(model.optimizer.variables)


def compiled(task: Task) -> Any:
    """The model on stored counts with its loss and AdamW, optimiser state built."""
    recipe = task.recipe
    model = on_pixels(task.network, task.split.mean, task.split.std, recipe.jitter, recipe.seed)
    optimizer = keras.optimizers.AdamW(
        recipe.learning_rate, weight_decay=recipe.weight_decay, global_clipnorm=recipe.gradient_clip or None
    )
    optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    loss = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)
    model.compile(optimizer, loss, jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    return model


def prepare(recipe: Recipe, name: str) -> None:
    """Seed what the network is built with, and choose its numeric precision.

    Raises:
        TrainingError: The machine cannot do the wanted precision.
    """
    if recipe.precision == "16-mixed" and device_name() == "cpu":
        raise TrainingError(f"{name}: precision 16-mixed needs a CUDA device; use 32 or bf16-mixed")
    keras.utils.set_random_seed(recipe.seed)
    keras.config.set_dtype_policy(POLICIES[recipe.precision])


def fit(task: Task, recorder: Recorder) -> None:
    """Train from the last checkpoint, or from the start; leaves the best weights in the run folder.

    Raises:
        TrainingError: A loss is not finite.
    """
    recipe = task.recipe
    model = compiled(task)
    average = AveragedWeights(task.network, recipe.ema_decay) if recipe.ema_decay else None
    last = task.checkpoints / CHECKPOINT
    if last.exists():
        recorder.resume(load_state(last, model, average), task.epoch_steps)
    light, heavy = task.class_weights
    data = TileSequence(**task.reading(training=True))
    model.fit(
        data,
        epochs=recipe.epochs,
        initial_epoch=recorder.epoch,
        callbacks=[EpochLoop(task, recorder, data, average)],
        class_weight={0: light, 1: heavy} if recipe.balance == "weights" else None,
        shuffle=False,
        verbose=0,
    )
