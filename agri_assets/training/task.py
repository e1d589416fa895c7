"""What a fit loop is given: the same for both frameworks."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from agri_assets.loading.augment import Augmentation
from agri_assets.loading.classes import Classes
from agri_assets.loading.samples import SampleTable
from agri_assets.models.registry import Framework
from agri_assets.models.weights import WEIGHTS_FILE, get_weights, save_weights
from agri_assets.splits.summary import SplitSummary
from agri_assets.training.recipe import ModelName, Recipe

MOST_WORKERS = 4
"""Loader processes beside a GPU: decoding a shard is fast, more would only hold more memory."""


@dataclass(frozen=True)
class Task:
    """One training.

    Attributes:
        name: For messages: `<collection>/<model>`.
        model: Name of the network.
        framework: What it is written in.
        recipe: How it is trained.
        network: The network, untrained.
        split: The split it is trained on.
        train: Samples of train.
        val: Samples of val.
        cubes: The cube of each tile.
        device: The device, `cpu`, or `cuda:...`.
        folder: The run folder: best weights are written into it, checkpoints below it.
        classes: What the network's outputs stand for; empty for a single logit of agricultural.
    """

    name: str
    model: ModelName
    framework: Framework
    recipe: Recipe
    network: Any
    split: SplitSummary
    train: SampleTable
    val: SampleTable
    cubes: Mapping[str, Path]
    device: str
    folder: Path
    classes: Classes = ()

    @property
    def outputs(self) -> int:
        """Outputs of the network."""
        return outputs_for(self.classes)

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole training."""
        return self.recipe.epochs * self.epoch_steps

    @property
    def epoch_steps(self) -> int:
        """Optimiser steps of one epoch."""
        return -(-len(self.train) // self.recipe.batch_size)

    def batch_samples(self, step: int) -> int:
        """Samples in the batch of a step (from 0), of all ranks together; the last of an epoch has the rest."""
        done = step % self.epoch_steps * self.recipe.batch_size
        return min(self.recipe.batch_size, len(self.train) - done)

    @property
    def target_weights(self) -> tuple[float, ...]:
        """Loss weights of the target classes: of each one the weight of its label; of both labels without classes."""
        weights = self.class_weights
        return tuple(weights[target.agricultural] for target in self.classes) or weights

    @property
    def class_weights(self) -> tuple[float, float]:
        """Loss weights of label 0 and 1."""
        return class_weights(self.train.label, self.recipe.balance == "weights")

    @property
    def workers(self) -> int:
        """Loader processes: as the recipe says, or as many as help. On a CPU they would take cores from training."""
        if self.recipe.workers >= 0:
            return self.recipe.workers
        return 0 if self.device == "cpu" else min(MOST_WORKERS, os.cpu_count() or 1)

    @property
    def checkpoints(self) -> Path:
        """Folder of what a resume needs; removed when the training is complete."""
        return self.folder / "checkpoints"

    def reading(self, *, training: bool) -> dict[str, Any]:
        """Arguments of either framework's reader: train mixed and turned anew in every epoch, val as it lies."""
        recipe = self.recipe
        options: dict[str, Any] = {"cubes": self.cubes, "batch_size": recipe.batch_size, "seed": recipe.seed}
        if not training:
            return {**options, "samples": self.val}
        fill = tuple(round(value) for value in self.split.mean)
        augmentation = Augmentation(recipe.orientations, recipe.band_dropout, recipe.coarse_dropout, fill)
        mixing = {"shuffle": True, "shuffle_shards": recipe.shuffle_shards, "augmentation": augmentation}
        mixing["sampled"] = recipe.balance == "sampling"
        return {**options, **mixing, "samples": self.train}

    def save_best(self, network: Any) -> None:
        """Keep these weights as the run's."""
        save_weights(self.folder / WEIGHTS_FILE, get_weights(network, self.framework))


def outputs_for(classes: Classes) -> int:
    """Outputs of a network: one for each class, or a single logit of agricultural."""
    return len(classes) or 1


def class_weights(labels: npt.NDArray[Any], balance: bool) -> tuple[float, float]:
    """Loss weights of label 0 and 1: `n / (2 * n_class)` where classes shall count alike, else 1 and 1.

    Args:
        labels: Of the train samples, (n,), with both classes present.
        balance: Whether classes shall count alike.
    """
    if not balance:
        return 1.0, 1.0
    positives = int(np.sum(labels == 1))
    return len(labels) / (2 * (len(labels) - positives)), len(labels) / (2 * positives)
