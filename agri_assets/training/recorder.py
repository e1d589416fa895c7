"""Watches a training for both frameworks: time, waiting for data, progress, bad losses, the history so far."""

import logging
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from agri_assets.errors import TrainingError
from agri_assets.progress import Meter
from agri_assets.training.history import EpochRecord, Floats, History, score

logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass
class Recorder:
    """Turns the events of a training loop into one `EpochRecord` per epoch and a line in the log.

    Attributes:
        name: What is trained, for messages.
        epochs: Epochs to train at most.
        patience: As in the recipe.
        meter: Counts steps.
        history: The finished epochs.
        stopped: Whether training is over before its last epoch.
        resumed: Epochs that an earlier process had finished.
    """

    name: str
    epochs: int
    patience: int
    meter: Meter
    history: History = field(default_factory=History)
    stopped: bool = False
    resumed: int = 0
    _samples: int = 0
    _started: float = 0.0
    _waited: float = 0.0
    _trained: float = 0.0

    @property
    def epoch(self) -> int:
        """Number of the running epoch, from 0."""
        return len(self.history.epochs)

    def resume(self, history: History, steps: int) -> None:
        """Go on after these epochs of `steps` steps each."""
        self.history, self.resumed = history, len(history.epochs)
        self.stopped = history.stalled(self.patience)
        self.meter.done = self.resumed * steps
        logger.info("%s: resuming after epoch %d of %d", self.name, self.resumed, self.epochs)

    def waiting(self, batches: Iterable[T]) -> Iterator[T]:
        """Yield batches, counting the time spent waiting for each."""
        iterator = iter(batches)
        while True:
            before = time.perf_counter()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            self.waited(time.perf_counter() - before)
            yield batch

    def waited(self, seconds: float) -> None:
        """The loop had nothing to do for so long."""
        self._waited += seconds

    def start_epoch(self) -> None:
        """The first batch is about to be asked for."""
        self._started, self._waited, self._samples = time.perf_counter(), 0.0, 0

    def step(self, samples: int) -> None:
        """One optimiser step is done."""
        self._samples += samples
        self.meter.advance(note=f"epoch {self.epoch + 1}/{self.epochs}")

    def check(self, loss: float) -> None:
        """Stop a training that can only end in nonsense.

        Raises:
            TrainingError: The loss is not finite.
        """
        if not math.isfinite(loss):
            raise TrainingError(
                f"{self.name}: loss is {loss} in epoch {self.epoch + 1}; lower learning_rate or raise warmup"
            )

    def end_steps(self) -> None:
        """Training steps of this epoch are over, validation begins."""
        self._trained = time.perf_counter()

    def end_epoch(self, loss: float, rate: float, logits: Floats, labels: Floats) -> None:
        """Record the epoch with what validation found.

        Args:
            loss: Mean training loss.
            rate: Learning rate of the last step.
            logits: Of the val samples, (n,).
            labels: Of the val samples, (n,).

        Raises:
            TrainingError: A loss is not finite.
        """
        val_loss, val_auc = score(logits, labels)
        self.check(loss)
        self.check(val_loss)
        seconds = self._trained - self._started
        record = EpochRecord(
            epoch=self.epoch + 1,
            loss=loss,
            val_loss=val_loss,
            val_auc=val_auc,
            learning_rate=rate,
            samples=self._samples,
            seconds=seconds,
            val_seconds=time.perf_counter() - self._trained,
            data_wait=min(1.0, self._waited / seconds),
        )
        self.history = self.history.then(record)
        self.stopped = self.history.stalled(self.patience)
        logger.info("%s: %s", self.name, record.line(self.epochs))
        if self.stopped:
            logger.info("%s: stopped, no better val AUC in %d epochs", self.name, self.patience)
