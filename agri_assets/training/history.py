"""What happened epoch by epoch: the ground of 'best', of stopping early and of the loss curve."""

import math

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict
from sklearn.metrics import roc_auc_score

Floats = npt.NDArray[np.floating]


class EpochRecord(BaseModel):
    """One finished epoch.

    Attributes:
        epoch: Number, from 1.
        loss: Mean training loss, as optimised (smoothed, weighted).
        val_loss: Mean cross-entropy on val against the plain labels.
        val_auc: ROC AUC on val.
        learning_rate: That of its last step.
        samples: Training samples seen.
        seconds: Wall time of its training part; `val_seconds` that of validation.
        val_seconds: See `seconds`.
        data_wait: Share of `seconds` spent waiting for a batch.
    """

    model_config = ConfigDict(frozen=True)

    epoch: int
    loss: float
    val_loss: float
    val_auc: float
    learning_rate: float
    samples: int
    seconds: float
    val_seconds: float
    data_wait: float

    @property
    def samples_per_s(self) -> float:
        """Training samples per second of its training part."""
        return self.samples / self.seconds if self.seconds else 0.0

    def line(self, epochs: int) -> str:
        """The epoch as one line for a log."""
        return (
            f"epoch {self.epoch}/{epochs}: loss {self.loss:.4f}, val loss {self.val_loss:.4f}, "
            f"val AUC {self.val_auc:.4f}, {self.samples_per_s:.0f} samples/s, data wait {self.data_wait:.1%}, "
            f"{self.seconds + self.val_seconds:.1f} s"
        )


class History(BaseModel):
    """The finished epochs of one training, oldest first."""

    model_config = ConfigDict(frozen=True)

    epochs: tuple[EpochRecord, ...] = ()

    def then(self, record: EpochRecord) -> "History":
        """This history with one more epoch."""
        return History(epochs=(*self.epochs, record))

    @property
    def best(self) -> EpochRecord:
        """The epoch with the highest val ROC AUC; of equals the first."""
        return max(self.epochs, key=lambda record: (record.val_auc, -record.epoch))

    @property
    def improved(self) -> bool:
        """Whether the last epoch is the best one."""
        return self.best is self.epochs[-1]

    def stalled(self, patience: int) -> bool:
        """Whether the last `patience` epochs brought nothing better; never if `patience` is 0."""
        return bool(patience and self.epochs) and self.epochs[-1].epoch - self.best.epoch >= patience

    @property
    def seconds(self) -> float:
        """Time of all epochs with their validations, whatever process they ran in."""
        return sum(record.seconds + record.val_seconds for record in self.epochs)

    @property
    def samples_per_s(self) -> float:
        """Training samples per second over all epochs."""
        seconds = sum(record.seconds for record in self.epochs)
        return sum(record.samples for record in self.epochs) / seconds if seconds else 0.0

    @property
    def data_wait(self) -> float:
        """Share of the training time spent waiting for data."""
        seconds = sum(record.seconds for record in self.epochs)
        return sum(record.data_wait * record.seconds for record in self.epochs) / seconds if seconds else 0.0


def score(logits: Floats, labels: Floats) -> tuple[float, float]:
    """Mean cross-entropy and ROC AUC of logits (n,) against labels (n,) of 0 and 1; NaN if a logit is not finite."""
    wide = logits.astype(np.float64)
    if not np.isfinite(wide).all():
        return math.nan, math.nan
    loss = float(np.mean(np.logaddexp(0.0, wide) - labels * wide))
    return loss, float(roc_auc_score(labels, wide))
