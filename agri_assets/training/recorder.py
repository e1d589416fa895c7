"""Watches a training for both frameworks: time, waiting for data, progress, bad losses, the history so far."""

import logging
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import BaseModel

from agri_assets.errors import TrainingError
from agri_assets.progress import Meter
from agri_assets.training.history import EpochRecord, Floats, History, score

logger = logging.getLogger(__name__)
T = TypeVar("T")


class Running(BaseModel):
    """Figures of an epoch that is not over; they travel with a checkpoint.

    Attributes:
        loss: Sum of the losses of its samples.
        samples: Training samples seen.
        seconds: Wall time of its steps.
        waited: Of these, spent waiting for a batch.
    """

    loss: float = 0.0
    samples: int = 0
    seconds: float = 0.0
    waited: float = 0.0


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
        steps_resumed: Steps that it had done.
    """

    name: str
    epochs: int
    patience: int
    meter: Meter
    history: History = field(default_factory=History)
    stopped: bool = False
    resumed: int = 0
    steps_resumed: int = 0
    _running: Running = field(default_factory=Running)
    _started: float | None = None
    _trained: float = 0.0

    @property
    def epoch(self) -> int:
        """Number of the running epoch, from 0."""
        return len(self.history.epochs)

    @property
    def running(self) -> Running:
        """The running epoch as far as it has come."""
        now = 0.0 if self._started is None else time.perf_counter() - self._started
        return self._running.model_copy(update={"seconds": self._running.seconds + now})

    def resume(
        self, history: History, steps: int, running: Running | None = None, steps_done: int | None = None
    ) -> None:
        """Go on where an earlier process stopped.

        Args:
            history: The epochs it had finished.
            steps: Steps of an epoch.
            running: Its figures of the epoch after these, where it had begun it.
            steps_done: Steps it had done in all, where these are more than those of the finished epochs.
        """
        self.history, self.resumed = history, len(history.epochs)
        self.steps_resumed = self.resumed * steps if steps_done is None else steps_done
        self.stopped = history.stalled(self.patience)
        self._running = running or Running()
        self.meter.done = self.meter.before = self.steps_resumed
        into = self.steps_resumed - self.resumed * steps
        place = f", {into} of {steps} steps into the next" if into else ""
        logger.info("%s: resuming after epoch %d of %d%s", self.name, self.resumed, self.epochs, place)

    def waiting(self, batches: Iterable[T]) -> Iterator[T]:
        """Yield batches, counting the time spent waiting for each, the start of the first included."""
        before = time.perf_counter()
        iterator = iter(batches)
        while True:
            try:
                batch = next(iterator)
            except StopIteration:
                return
            self.waited(time.perf_counter() - before)
            yield batch
            before = time.perf_counter()

    def waited(self, seconds: float) -> None:
        """The loop had nothing to do for so long."""
        self._running.waited += seconds

    def start_epoch(self) -> None:
        """The first batch is about to be asked for, be it in the middle of a resumed epoch."""
        self._started = time.perf_counter()

    def step(self, samples: int) -> None:
        """One optimiser step is done."""
        self._running.samples += samples
        self.meter.advance(note=f"epoch {self.epoch + 1}/{self.epochs}")

    def losses(self, values: Iterable[float], samples: Iterable[int]) -> None:
        """Mean losses of some steps, in order, and how many samples each had; for `mean_loss`.

        Raises:
            TrainingError: One is not finite.
        """
        for value, count in zip(values, samples, strict=True):
            self.check(value)
            self._running.loss += value * count

    @property
    def mean_loss(self) -> float:
        """Mean loss of the samples of the running epoch, as told to `losses`."""
        return self._running.loss / self._running.samples

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
        self._running = self.running
        self._started, self._trained = None, time.perf_counter()

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
        running, self._running = self._running, Running()
        record = EpochRecord(
            epoch=self.epoch + 1,
            loss=loss,
            val_loss=val_loss,
            val_auc=val_auc,
            learning_rate=rate,
            samples=running.samples,
            seconds=running.seconds,
            val_seconds=time.perf_counter() - self._trained,
            data_wait=min(1.0, running.waited / running.seconds) if running.seconds else 0.0,
        )
        self.history = self.history.then(record)
        self.stopped = self.history.stalled(self.patience)
        logger.info("%s: %s", self.name, record.line(self.epochs))
        if self.stopped:
            logger.info("%s: stopped, no better val AUC in %d epochs", self.name, self.patience)
