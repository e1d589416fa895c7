"""The Keras network as it is trained: one step from stored counts to changed weights and averages, on the device."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import keras
import numpy as np

from agri_assets.models.keras_augment import Geometry, Mixing, Radiometry
from agri_assets.models.keras_parts import standardise
from agri_assets.training.recipe import Recipe
from agri_assets.training.schedule import average_decay, learning_rate
from agri_assets.training.task import Task

NOT_DECAYED = ["bias", "gamma", "beta"]
"""Variables that weight decay leaves alone: biases, and scales and offsets of norms."""

SEED_NAME = "seed_generator_state"
"""Keras's name of a variable that random numbers come from."""


class TileTraining(keras.Model):  # type: ignore[misc]  # keras has no types
    """A network with its augmentation, loss, optimiser and averaged weights.

    Attributes:
        network: Standardised tiles to logits.
        averages: Moving averages of its weights and batch statistics; none where the recipe asks for none.
    """

    def __init__(self, task: Task) -> None:
        """Build everything, so that no state comes later.

        Args:
            task: What is trained, with the network untrained.
        """
        super().__init__(name="training")
        recipe, split = task.recipe, task.split
        self.network = task.network
        self.recipe, self.steps, self.target_weights = recipe, task.steps, np.array(task.target_weights, np.float32)
        nodata = split.units == "reflectance"
        self.geometry = Geometry(zoom=recipe.zoom, rotation=recipe.rotation, nodata=nodata)
        self.radiometry = Radiometry(
            split.mean,
            split.std,
            jitter=recipe.jitter,
            brightness=recipe.brightness,
            noise=recipe.noise,
            nodata=nodata,
        )
        self.standardise = standardise(split.mean, split.std)
        self.mixing = Mixing(cutmix=recipe.cutmix, mixup=recipe.mixup, probability=recipe.mix_probability)
        self.averages = [_like(weight) for weight in self.network.weights] if recipe.ema_decay else []
        self.share = keras.Variable(0.0, trainable=False, dtype="float32", name="share")
        self.build(self.network.input_shape)
        self.compile(optimizer(recipe), loss(recipe, task.outputs), jit_compile=recipe.compile)
        self.optimizer.build(self.trainable_variables)

    @cached_property
    def seeds(self) -> tuple[Any, ...]:
        """Where the random numbers of all layers come from."""
        return tuple(variable for variable in self.variables if variable.name == SEED_NAME)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Nothing is left to build: the network is there."""
        self.built = True

    def call(self, tiles: Any, training: bool = False) -> Any:
        """Standardised tiles (b, height, width, bands) to logits (b, outputs)."""
        return self.network(tiles, training=training)

    def start_step(self, step: int) -> None:
        """Set what depends on the step alone: learning rate, pace of the averages, and where random numbers come from.

        Args:
            step: Number of the step, from 0.
        """
        recipe = self.recipe
        # the loss that Keras tells is the mean since the last reset
        self.reset_metrics()
        self.optimizer.learning_rate = learning_rate(step, self.steps, recipe.learning_rate, recipe.warmup)
        self.share.assign(1.0 - average_decay(step, recipe.ema_decay))
        numbers = np.random.SeedSequence([recipe.seed, step]).generate_state(len(self.seeds)) >> 1
        for variable, number in zip(self.seeds, numbers.tolist(), strict=True):
            variable.assign([number, 0])

    def train_step(self, data: tuple[Any, Any]) -> Any:
        """One optimiser step; called by Keras.

        Args:
            data: Stored counts (b, height, width, bands) of any kind, and the number of the class of each tile (b,).
        """
        pixels, classes = data
        counts = self.radiometry(self.geometry(keras.ops.cast(pixels, "float32")))
        tiles, targets = self.mixing(self.standardise(counts), self._targets(classes))
        logs = super().train_step((tiles, targets, self._weights(targets)))
        for average, weight in zip(self.averages, self.network.weights, strict=bool(self.averages)):
            average.assign(average.value + self.share.value * (weight.value - average.value))
        return logs

    def predict_step(self, data: tuple[Any, ...]) -> Any:
        """Logits (b, outputs) of stored counts; called by Keras."""
        return self(self.standardise(keras.ops.cast(data[0], "float32")), training=False)

    def swap_averages(self) -> None:
        """Exchange the network's weights with their averages, where there are any; a second call undoes it."""
        for average, weight in zip(self.averages, self.network.weights, strict=bool(self.averages)):
            value = keras.ops.copy(weight.value)
            weight.assign(average.value)
            average.assign(value)

    def _targets(self, classes: Any) -> Any:
        """Shares of classes (b, outputs), or with a single output the share of agricultural (b, 1)."""
        outputs = self.network.output_shape[-1]
        if outputs == 1:
            return keras.ops.expand_dims(classes, -1)
        return keras.ops.one_hot(keras.ops.cast(classes, "int32"), outputs, dtype="float32")

    def _weights(self, targets: Any) -> Any:
        """Weight of each tile in the loss (b,): that of its classes, by their shares."""
        if targets.shape[-1] == 1:
            light, heavy = self.target_weights.tolist()
            return targets[:, 0] * (heavy - light) + light
        return keras.ops.matmul(targets, self.target_weights[:, None])[:, 0]


def optimizer(recipe: Recipe) -> Any:
    """AdamW as the recipe says."""
    made = keras.optimizers.AdamW(
        recipe.learning_rate, weight_decay=recipe.weight_decay, global_clipnorm=recipe.gradient_clip or None
    )
    made.exclude_from_weight_decay(var_names=NOT_DECAYED)
    return made


def loss(recipe: Recipe, outputs: int) -> Any:
    """Cross-entropy of logits (b, outputs) against shares of the same shape, smoothed."""
    kind = keras.losses.BinaryCrossentropy if outputs == 1 else keras.losses.CategoricalCrossentropy
    return kind(from_logits=True, label_smoothing=recipe.label_smoothing)


def _like(weight: Any) -> Any:
    # a copy: on torch a variable takes over the memory of what it begins with
    value = np.array(keras.ops.convert_to_numpy(weight.value))
    return keras.Variable(value, trainable=False, dtype=weight.dtype, name="average")
