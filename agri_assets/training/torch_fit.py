"""The training of a PyTorch network: a plain loop on Lightning Fabric, for one device or one of several ranks."""

import logging
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, distributed, nn
from torch.nn.functional import cross_entropy, pad
from torch.utils.data import DataLoader

from agri_assets.errors import TrainingError
from agri_assets.loading.classes import agricultural_logit, targets
from agri_assets.loading.ring import TensorBatch
from agri_assets.loading.torch_data import BatchDataset, make_loader
from agri_assets.models.pretrained import begin_with
from agri_assets.models.torch_parts import Standardise
from agri_assets.models.weights import WEIGHTS_FILE
from agri_assets.store.commit import sweep
from agri_assets.training.device_augment import Geometry, Mixing, Radiometry
from agri_assets.training.history import Floats
from agri_assets.training.recipe import Precision, Recipe
from agri_assets.training.recorder import Recorder
from agri_assets.training.schedule import average_decay, learning_rate
from agri_assets.training.steps import seed_step
from agri_assets.training.task import Task
from agri_assets.training.torch_state import TorchState

CHECKPOINT = "last.ckpt"

LOOK_EVERY = 25
"""Steps between two looks at losses and clock: reading a loss makes the host wait for the device."""


def prepare(recipe: Recipe, name: str) -> None:
    """Seed what the network is built with.

    Raises:
        TrainingError: The machine cannot do the wanted precision.
    """
    if recipe.precision == "16-mixed" and not torch.cuda.is_available():
        raise TrainingError(f"{name}: precision 16-mixed needs a CUDA device; use 32 or bf16-mixed")
    torch.manual_seed(recipe.seed)


def fit(task: Task, recorder: Recorder) -> None:
    """Train from the last checkpoint, or from the start; leaves the best weights in the run folder.

    Raises:
        ModelError: Weights to begin with cannot be had, or do not fit.
        TrainingError: A loss is not finite, or the checkpoint is damaged.
    """
    recipe = task.recipe
    if recipe.pretrained and not (task.checkpoints / CHECKPOINT).exists():
        begin_with(task.network, task.model, recipe.pretrained, len(task.split.bands), recipe.options)
    # the network's parameters stay the same objects when they move to the device
    optimizer = torch.optim.AdamW(decay_groups(task.network, recipe.weight_decay), lr=recipe.learning_rate)
    TorchTraining(task, recorder, optimizer, make_fabric(recipe.precision)).run()


def make_fabric(precision: Precision) -> Fabric:
    """Fabric for the device that is there, or for this process's share where torchrun started several."""
    for name in ("lightning.fabric", "lightning.pytorch"):  # Fabric tells its choices by either
        logging.getLogger(name).setLevel(logging.WARNING)
    size = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    accelerator = "auto" if size == 1 or torch.cuda.is_available() else "cpu"
    strategy = "auto" if size == 1 else "ddp"
    # one process takes the device that it holds, which need not be the first
    own = [torch.cuda.current_device()] if size == 1 and torch.cuda.is_available() else local
    fabric = Fabric(
        accelerator=accelerator, strategy=strategy, devices=own, num_nodes=size // local, precision=precision
    )
    fabric.launch()
    return fabric


def decay_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups: weights of layers decay; biases, scales and offsets of norms (one dimension) do not."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return [
        {"params": [item for item in parameters if item.ndim > 1], "weight_decay": weight_decay},
        {"params": [item for item in parameters if item.ndim <= 1], "weight_decay": 0.0},
    ]


class TorchTraining:
    """One network with its loss, optimiser, averaged weights and checkpoints; `run` is the loop.

    Where several ranks train together, each takes its share of every batch, and the gradients are those of the whole
    batch. Statistics of batch norm are those of a rank's share; rank 0's are kept.
    """

    def __init__(self, task: Task, recorder: Recorder, optimizer: torch.optim.Optimizer, fabric: Fabric) -> None:
        self.task, self.recorder, self.fabric, self.recipe = task, recorder, fabric, task.recipe
        self.network: nn.Module = fabric.to_device(task.network.to(memory_format=torch.channels_last))
        # the wrapped network shares its weights with the plain one, whose names are those of the weights file
        self.forward: Any = fabric.strategy.setup_module(self.network)
        if self.recipe.compile:
            self.forward = torch.compile(self.forward)
        self.optimizer: Any = fabric.setup_optimizers(optimizer)
        self.average = ModelEmaV3(self.network, self.recipe.ema_decay) if self.recipe.ema_decay else None
        split, columns = task.split, max(2, task.outputs)
        self.standardise = fabric.to_device(Standardise(split.mean, split.std))
        self.geometry = Geometry(self.recipe, split.units)
        self.radiometry = fabric.to_device(Radiometry(self.recipe, split.mean, split.std, split.units))
        self.mix = Mixing(self.recipe, columns)
        self.classes = fabric.to_device(torch.from_numpy(targets(task.train, task.classes)))
        self.weights = torch.tensor(task.target_weights, device=fabric.device)
        self.pending: list[Tensor] = []
        self.saved = time.monotonic()
        self.state = TorchState(fabric, self.network, optimizer, self.average and self.average.module, recorder)
        self.step = self.state.load(self.checkpoint, task.epoch_steps)

    @property
    def checkpoint(self) -> Path:
        """The file of the last state."""
        return self.task.checkpoints / CHECKPOINT

    def run(self) -> None:
        """Train epoch by epoch, with a validation after each, until the last or until nothing gets better."""
        sweep(self.task.folder / WEIGHTS_FILE)
        train, val = self._loader(training=True), self._loader(training=False)
        while self.recorder.epoch < self.recipe.epochs and not self.recorder.stopped:
            self.train_epoch(train)
            self.validate(val)
            self.save()

    def train_epoch(self, loader: "DataLoader[TensorBatch]") -> None:
        """The steps of the running epoch that are still to be done."""
        every = LOOK_EVERY if self.recipe.checkpoint_minutes else 1
        assert isinstance(loader.dataset, BatchDataset)
        loader.dataset.set_epoch(self.recorder.epoch, self.step - self.recorder.epoch * self.task.epoch_steps)
        self.network.train()
        self.recorder.start_epoch()
        for batch in self.recorder.waiting(loader):
            self.train_step(batch)
            if self.step % every == 0:
                self.look()
        self.look()
        self.recorder.end_steps()
        self.save()

    def train_step(self, batch: TensorBatch) -> None:
        """One optimiser step on this rank's share of a batch."""
        seed_step(self.recipe.seed, self.step, self.fabric.global_rank, self.fabric.device)
        rate = learning_rate(self.step, self.task.steps, self.recipe.learning_rate, self.recipe.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        samples = self.task.batch_samples(self.step)
        # ranks' gradients are averaged, so each loss is taken times their number over the whole batch
        loss = self.loss_sum(batch) * self.fabric.world_size / samples
        self.fabric.backward(loss)
        if self.recipe.gradient_clip:
            # an infinite gradient in half precision is the scaler's business, which leaves out the step
            self.fabric.clip_gradients(
                self.network, self.optimizer, max_norm=self.recipe.gradient_clip, error_if_nonfinite=False
            )
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.average is not None:
            self.average.decay = average_decay(self.step, self.recipe.ema_decay)
            self.average.update(self.network)
        self.step += 1
        self.pending.append(loss.detach())
        self.recorder.step(samples)

    def loss_sum(self, batch: TensorBatch) -> Tensor:
        """Sum of the losses of some samples: cross-entropy with smoothed and mixed targets, weighted by class."""
        pixels, index = self._moved(batch)
        if not len(index):
            return self._nothing(pixels)
        tiles, classes = self.standardise(self.radiometry(self.geometry(pixels))), self.classes[index].long()
        if len(index) == 1:
            # batch norm has no statistics of a single 1 by 1 map; twice the same sample has the same mean loss
            tiles, classes = tiles.repeat(2, 1, 1, 1), classes.repeat(2)
        tiles, shares = self.mix(tiles, classes)
        with self.fabric.autocast():
            outputs = self.forward(tiles)
        smoothing = self.recipe.label_smoothing
        loss = cross_entropy(as_classes(outputs), shares, self.weights, label_smoothing=smoothing)
        return loss * len(index)

    def look(self) -> None:
        """Read the losses of the steps since the last look, and write the state when it is time."""
        if self.pending:
            losses = self._reduced(torch.stack(self.pending), "mean")
            steps = range(self.step - len(self.pending), self.step)
            self.recorder.losses(losses.tolist(), map(self.task.batch_samples, steps))
            self.pending.clear()
            if time.monotonic() - self.saved >= self.recipe.checkpoint_minutes * 60:
                self.save()

    def save(self) -> None:
        """Write the state."""
        if self.fabric.global_rank == 0:
            self.state.save(self.checkpoint, self.step)
        self.saved = time.monotonic()

    def validate(self, loader: "DataLoader[TensorBatch]") -> None:
        """Record the epoch with the scores on val, and keep the weights if they are the best so far."""
        network = self.network if self.average is None else self.average.module
        logits = agricultural_logit(self.predict(network.eval(), loader), self.task.classes)
        rate = float(self.optimizer.param_groups[0]["lr"])
        self.recorder.end_epoch(self.recorder.mean_loss, rate, logits, self.task.val.label.astype(np.float64))
        if self.recorder.history.improved and self.fabric.global_rank == 0:
            self.task.save_best(network)

    @torch.no_grad()
    def predict(self, network: nn.Module, loader: "DataLoader[TensorBatch]") -> Floats:
        """Outputs of a network for all samples of val, (n, outputs), in their order."""
        if self.fabric.world_size > 1:
            for buffer in network.buffers():
                distributed.broadcast(buffer, src=0)
        found = torch.zeros(len(self.task.val), self.task.outputs, device=self.fabric.device)
        for batch in loader:
            pixels, index = self._moved(batch)
            if len(index):
                with self.fabric.autocast():
                    found[index] = network(self.standardise(pixels)).float()
        # every sample is one rank's, and zero with the others
        return self._reduced(found, "sum").cpu().numpy()

    def _reduced(self, values: Tensor, how: str) -> Tensor:
        """Sum or mean of the values of all ranks."""
        reduced: Tensor = self.fabric.strategy.all_reduce(values, reduce_op=how)
        return reduced

    def _loader(self, *, training: bool) -> "DataLoader[TensorBatch]":
        return make_loader(
            **self.task.reading(training=training),
            workers=self.task.workers,
            share=(self.fabric.global_rank, self.fabric.world_size),
            pin_memory=self.fabric.device.type == "cuda",
        )

    def _moved(self, batch: TensorBatch) -> tuple[Tensor, Tensor]:
        device = self.fabric.device
        return batch.pixels.to(device, non_blocking=True), batch.index.to(device, non_blocking=True)

    def _nothing(self, pixels: Tensor) -> Tensor:
        """A loss of zero for a rank whose share is empty: the others wait for its gradients."""
        self.network.eval()  # what batch norm remembers stays as it is
        tiles = torch.zeros(2, *pixels.shape[1:], device=pixels.device)
        with self.fabric.autocast():
            outputs: Tensor = self.forward(tiles)
        self.network.train()
        return outputs.float().sum() * 0.0


def as_classes(outputs: Tensor) -> Tensor:
    """Outputs (b, n) as logits of classes in float32: a single one becomes two, of not and of agricultural."""
    outputs = outputs.float()
    # the softmax of (0, z) is the logistic of z
    return pad(outputs, (1, 0)) if outputs.shape[1] == 1 else outputs
