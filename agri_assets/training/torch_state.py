"""All that a PyTorch training needs to go on after any step, as one file that is whole or absent."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import nn

from agri_assets.errors import TrainingError, first_line
from agri_assets.objects import local_copy
from agri_assets.store.commit import staged, sweep
from agri_assets.training.history import History
from agri_assets.training.recorder import Recorder, Running


@dataclass(frozen=True)
class TorchState:
    """What changes from step to step.

    Random numbers are not among it (see `steps.seed_step`), nor is the schedule: both follow from the step's number.

    Attributes:
        fabric: Holds the scaler of gradients in mixed precision.
        network: The network itself, neither wrapped nor compiled, so that names are its own.
        optimizer: Of its parameters.
        average: Average of its weights, if there is one.
        recorder: Holds the history and the figures of the running epoch.
    """

    fabric: Fabric
    network: nn.Module
    optimizer: torch.optim.Optimizer
    average: nn.Module | None
    recorder: Recorder

    def save(self, path: Path, step: int) -> None:
        """Write the state after `step` steps, atomically: the one before stays until this one is whole.

        Raises:
            StoreError: It cannot be written.
        """
        sweep(path)  # what a killed process left half-written
        state = {
            "step": step,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict() if self.average else None,
            "scaler": self.fabric.strategy.precision.state_dict(),
            "history": self.recorder.history.model_dump(mode="json"),
            "running": self.recorder.running.model_dump(mode="json"),
        }
        with staged(path) as staging:
            torch.save(state, staging)

    def load(self, path: Path, epoch_steps: int) -> int:
        """Take up the state of a file, if there is one; returns the steps that are done.

        Raises:
            TrainingError: The file is damaged, or not of this network.
        """
        if not path.exists():
            return 0
        try:
            with local_copy(path) as file:
                state = torch.load(file, map_location=self.fabric.device, weights_only=True)
            self._put_back(state)
        except (RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
            told = first_line(error)
            raise TrainingError(f"{path}: not a usable checkpoint ({told}); delete it to start over") from None
        history, running = History.model_validate(state["history"]), Running.model_validate(state["running"])
        step = int(state["step"])
        self.recorder.resume(history, epoch_steps, running, step)
        return step

    def _put_back(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.fabric.strategy.precision.load_state_dict(state["scaler"])
