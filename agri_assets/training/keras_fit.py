"""The training of a Keras network: the same schedule, quantities and files as the torch side.

A loop over Keras's own train function, since `Model.fit` cannot begin in the middle of an epoch.
"""

import time
from typing import Any

import keras
import numpy as np

from agri_assets.errors import TrainingError
from agri_assets.loading.classes import agricultural_logit
from agri_assets.models.keras_pretrained import begin_with
from agri_assets.models.weights import WEIGHTS_FILE
from agri_assets.store.commit import sweep
from agri_assets.training.history import Floats
from agri_assets.training.keras_batches import BACKENDS, Batches, batches_for
from agri_assets.training.keras_model import TileTraining
from agri_assets.training.keras_state import Progress, load_state, save_state
from agri_assets.training.recipe import Recipe
from agri_assets.training.recorder import Recorder
from agri_assets.training.task import Task

CHECKPOINT = "last.safetensors"

POLICIES = {"32": "float32", "16-mixed": "mixed_float16", "bf16-mixed": "mixed_bfloat16"}
"""Keras's names of the recipe's precisions."""

CHECK_EVERY = 25
"""Steps between two looks at the loss: reading it makes the host wait for the device."""


def prepare(recipe: Recipe, name: str) -> None:
    """Seed what the network is built with, and choose its numeric precision.

    Raises:
        TrainingError: The machine, or the backend of Keras, cannot do what the recipe wants.
    """
    backend = keras.backend.backend()
    if backend not in BACKENDS:
        raise TrainingError(f"{name}: Keras runs on {backend} here; set KERAS_BACKEND to {' or '.join(BACKENDS)}")
    has_gpu = BACKENDS[backend].prepare(recipe)
    if recipe.precision == "16-mixed" and not has_gpu:
        raise TrainingError(f"{name}: precision 16-mixed needs a CUDA device; use 32 or bf16-mixed")
    if recipe.compile and backend != "tensorflow":
        raise TrainingError(f"{name}: compile needs Keras's tensorflow backend; set KERAS_BACKEND=tensorflow")
    if recipe.compile and (recipe.cutmix or recipe.mixup):
        # XLA has no gamma distribution
        raise TrainingError(f"{name}: compiled code cannot draw Keras's CutMix and MixUp; turn off compile, or both")
    if recipe.cutmix > 1:
        raise TrainingError(f"{name}: Keras's CutMix takes an alpha of 1 at most, cutmix is {recipe.cutmix}")
    keras.config.set_dtype_policy(POLICIES[recipe.precision])


def fit(task: Task, recorder: Recorder) -> None:
    """Train from the last checkpoint, or from the start; leaves the best weights in the run folder.

    Raises:
        ModelError: Weights to begin with cannot be had, or do not fit.
        TrainingError: A loss is not finite, or the checkpoint is damaged or of another backend.
    """
    if task.recipe.pretrained and not (task.checkpoints / CHECKPOINT).exists():
        begin_with(task.network, task.recipe.pretrained)
    with batches_for(task) as batches:
        _Loop(task, recorder, batches).run()


class _Loop:
    """One training: steps, validation and checkpoints in turn.

    Attributes:
        step: Steps trained.
    """

    def __init__(self, task: Task, recorder: Recorder, batches: Batches) -> None:
        self.task, self.recorder, self.batches = task, recorder, batches
        self.last = task.checkpoints / CHECKPOINT
        self.model = TileTraining(task)
        self.model.make_train_function()
        self.step = 0
        self.losses: list[Any] = []
        if self.last.exists():
            done = load_state(self.last, self.model)
            self.step = done.step
            recorder.resume(done.history, task.epoch_steps, done.running, done.step)
        self.saved_at = time.monotonic()

    def run(self) -> None:
        """Train until the last epoch, or until nothing gets better."""
        sweep(self.task.folder / WEIGHTS_FILE)
        while self.recorder.epoch < self.task.recipe.epochs and not self.recorder.stopped:
            self._train()
            self._validate()

    def _train(self) -> None:
        """The steps of the running epoch that are still to be done."""
        self.recorder.start_epoch()
        first = self.step - self.recorder.epoch * self.task.epoch_steps
        for batch in self.recorder.waiting(self.batches.train(self.recorder.epoch, first)):
            self.model.start_step(self.step)
            self.losses.append(self.model.train_function([batch])["loss"])
            self.recorder.step(self.task.batch_samples(self.step))
            self.step += 1
            if len(self.losses) == CHECK_EVERY:
                self._count_losses()
            if time.monotonic() - self.saved_at >= 60 * self.task.recipe.checkpoint_minutes:
                self._save()
        self._count_losses()
        self.recorder.end_steps()
        self._save()

    def _validate(self) -> None:
        """Judge the averaged weights, keep the best."""
        self.model.swap_averages()
        logits, labels = self._scored()
        rate = float(self.model.optimizer.learning_rate)
        self.recorder.end_epoch(self.recorder.mean_loss, rate, logits, labels)
        if self.recorder.history.improved:
            self.task.save_best(self.task.network)
        self.model.swap_averages()
        self._save()

    def _scored(self) -> tuple[Floats, Floats]:
        """A logit of agricultural for each val sample, and its label."""
        pairs = [(self.model.predict_on_batch(pixels), np.asarray(labels)) for pixels, labels in self.batches.val()]
        outputs, labels = (np.concatenate(part) for part in zip(*pairs, strict=True))
        return agricultural_logit(outputs, self.task.classes), labels

    def _count_losses(self) -> None:
        """Look at the losses of the last steps."""
        first = self.step - len(self.losses)
        samples = [self.task.batch_samples(step) for step in range(first, self.step)]
        self.recorder.losses([float(loss) for loss in self.losses], samples)
        self.losses.clear()

    def _save(self) -> None:
        self._count_losses()
        progress = Progress(
            backend=keras.backend.backend(),
            step=self.step,
            history=self.recorder.history,
            running=self.recorder.running,
        )
        save_state(self.last, self.model, progress)
        self.saved_at = time.monotonic()
