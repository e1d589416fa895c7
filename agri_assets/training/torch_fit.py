"""The training of a PyTorch network, with Lightning."""

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import lightning.pytorch as lightning
import torch
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from agri_assets.errors import TrainingError
from agri_assets.loading.torch_data import BatchDataset, make_loader
from agri_assets.models.torch_parts import Standardise, jitter
from agri_assets.objects import local_copy
from agri_assets.store.commit import staged
from agri_assets.training.history import History
from agri_assets.training.recipe import Recipe
from agri_assets.training.recorder import Recorder
from agri_assets.training.schedule import average_decay, learning_rate
from agri_assets.training.task import Task

CHECKPOINT = "last.ckpt"

CHECK_EVERY = 25
"""Steps between two looks at the loss: reading it makes the host wait for the device."""


class EpochBatches:
    """What Lightning iterates over: (pixels, labels) of the running epoch, with the wait for each batch counted."""

    def __init__(self, task: Task, recorder: Recorder, *, training: bool) -> None:
        self.recorder = recorder
        self.training = training
        self.loader = make_loader(
            **task.reading(training=training), workers=task.workers, pin_memory=task.device != "cpu"
        )

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        batches = ((batch.pixels, batch.label) for batch in self.loader)
        if not self.training:
            return batches
        assert isinstance(self.loader.dataset, BatchDataset)
        self.loader.dataset.set_epoch(self.recorder.epoch)
        self.recorder.start_epoch()
        return self.recorder.waiting(batches)


class TileTraining(lightning.LightningModule):
    """One network with its loss, optimiser, schedule, averaged weights and checkpoints."""

    def __init__(self, task: Task, recorder: Recorder) -> None:
        super().__init__()
        self.task = task
        self.recorder = recorder
        self.network: nn.Module = task.network.to(memory_format=torch.channels_last)
        self.standardise = Standardise(task.split.mean, task.split.std)
        self.average = ModelEmaV3(self.network, task.recipe.ema_decay) if task.recipe.ema_decay else None
        if self.average is not None:
            # only validation runs it, where Lightning sets all modules to evaluate; before, it warns of those that are
            self.average.train()
        self.losses: list[Tensor] = []
        self.scored: list[tuple[Tensor, Tensor]] = []

    def configure_optimizers(self) -> Any:
        """AdamW with its schedule, stepped per batch."""
        recipe, steps = self.task.recipe, self.task.steps
        optimizer = torch.optim.AdamW(decay_groups(self.network, recipe.weight_decay), lr=recipe.learning_rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate(step, steps, 1.0, recipe.warmup)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_epoch_start(self) -> None:
        """Seed by epoch, so that a training resumed at an epoch goes on as one that never stopped."""
        torch.manual_seed(self.task.recipe.seed * 100_003 + self.recorder.epoch)
        self.losses.clear()

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Loss of one batch."""
        pixels, labels = batch
        if len(labels) == 1:
            # batch norm has no statistics of a single 1 by 1 map; twice the same sample has the same mean loss
            pixels, labels = pixels.repeat(2, 1, 1, 1), labels.repeat(2)
        recipe = self.task.recipe
        tiles = self.standardise(pixels)
        logits = self.network(jitter(tiles, recipe.jitter) if recipe.jitter else tiles)[:, 0]
        smooth = labels * (1.0 - recipe.label_smoothing) + recipe.label_smoothing / 2
        light, heavy = self.task.class_weights
        return binary_cross_entropy_with_logits(logits, smooth, weight=labels * (heavy - light) + light)

    def on_train_batch_end(self, outputs: Any, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Average the weights, count the step, look at the loss now and then."""
        if self.average is not None:
            self.average.decay = average_decay(self.global_step - 1, self.task.recipe.ema_decay)
            self.average.update(self.network)
        self.losses.append(outputs["loss"].detach())
        self.recorder.step(len(batch[1]))
        if index % CHECK_EVERY == 0:
            self.recorder.check(self._mean_loss())

    def on_validation_start(self) -> None:
        """Stop the clock of the training part."""
        self.recorder.end_steps()
        self.scored.clear()

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Keep the logits of one val batch."""
        pixels, labels = batch
        network = self.network if self.average is None else self.average.module
        self.scored.append((network(self.standardise(pixels))[:, 0].float(), labels))

    def on_validation_epoch_end(self) -> None:
        """Record the epoch and keep the weights if they are the best so far."""
        logits, labels = (torch.cat(part).cpu().numpy() for part in zip(*self.scored, strict=True))
        rate = float(self.trainer.optimizers[0].param_groups[0]["lr"])
        self.recorder.end_epoch(self._mean_loss(), rate, logits, labels)
        if self.recorder.history.improved:
            self.task.save_best(self.network if self.average is None else self.average.module)
        self.trainer.should_stop = self.recorder.stopped

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The history travels with the state it led to."""
        checkpoint["history"] = self.recorder.history.model_dump(mode="json")

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """See `on_save_checkpoint`."""
        self.recorder.resume(History.model_validate(checkpoint["history"]), self.task.epoch_steps)

    def _mean_loss(self) -> float:
        return float(torch.stack(self.losses).mean())


class KeepLast(lightning.Callback):
    """Writes the whole state after every epoch, atomically."""

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """The epoch's progress is complete here, so a resume starts with the next one."""
        assert isinstance(module, TileTraining)
        with staged(module.task.checkpoints / CHECKPOINT) as staging:
            trainer.save_checkpoint(staging)


def decay_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups: weights of layers decay; biases, scales and offsets of norms (one dimension) do not."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return [
        {"params": [item for item in parameters if item.ndim > 1], "weight_decay": weight_decay},
        {"params": [item for item in parameters if item.ndim <= 1], "weight_decay": 0.0},
    ]


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
        TrainingError: A loss is not finite.
    """
    recipe = task.recipe
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    trainer = lightning.Trainer(
        accelerator="auto",
        devices=1,
        precision=recipe.precision,
        max_epochs=recipe.epochs,
        gradient_clip_val=recipe.gradient_clip or None,
        callbacks=[KeepLast()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        default_root_dir=tempfile.gettempdir(),  # nothing is written there: we write, and only whole files
    )
    last = task.checkpoints / CHECKPOINT
    with warnings.catch_warnings(), ExitStack() as stack:
        # Lightning 2.6 asks torch's tree module in the way that torch 2.15 deprecates
        warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\).*")
        trainer.fit(
            TileTraining(task, recorder),
            EpochBatches(task, recorder, training=True),
            EpochBatches(task, recorder, training=False),
            ckpt_path=stack.enter_context(local_copy(last)) if last.exists() else None,
            weights_only=True,
        )
