"""What every Keras network here shares: stored counts to standardised numbers inside the model, on the device."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np


class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]  # keras has no types
    """Batch normalisation by torch's own kernel where Keras runs on torch.

    Keras computes the variance there as E[x^2] - E[x]^2, which rounding can make negative: a batch of a few samples on
    1 by 1 maps then ends in NaN. The kernel is stable.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise over all axes but the last."""
        values_per_band = math.prod(inputs.shape[:-1])
        if keras.backend.backend() != "torch" or not training or inputs.dtype.itemsize != 4 or values_per_band < 2:
            return super().call(inputs, training=training, mask=mask)
        from torch.nn.functional import batch_norm

        normal = batch_norm(
            inputs.movedim(-1, 1),
            self.moving_mean.value,
            self.moving_variance.value,
            self.gamma.value,
            self.beta.value,
            training=True,
            momentum=1.0 - self.momentum,
            eps=self.epsilon,
        )
        return normal.movedim(1, -1)


class RadiometricJitter(keras.layers.Layer):  # type: ignore[misc]  # keras has no types
    """A random gain and offset per tile and band while training: `x * (1 + s * a) + s * b`, with a, b normal.

    Acts on standardised numbers, so `deviation` (s) counts in each band's own standard deviation.
    """

    def __init__(self, deviation: float, seed: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.deviation = deviation
        self.source = keras.random.SeedGenerator(seed)

    def call(self, tiles: Any, training: bool = False) -> Any:
        """Tiles (b, height, width, bands) to the same shape."""
        if not training:
            return tiles
        shape = keras.ops.shape(tiles)
        shape = (shape[0], 1, 1, shape[3])
        gain = 1.0 + keras.random.normal(shape, stddev=self.deviation, seed=self.source)
        return tiles * gain + keras.random.normal(shape, stddev=self.deviation, seed=self.source)


def on_pixels(network: Any, mean: Sequence[float], std: Sequence[float], jitter: float = 0.0, seed: int = 0) -> Any:
    """The model from stored counts (b, height, width, bands) to logits (b, 1), sharing the network's weights.

    Mean and std are constants of the model, not weights: they stand in the model's contract.
    """
    scale = 1.0 / np.asarray(std, dtype=np.float32)
    pixels = keras.Input(network.input_shape[1:], dtype="float32", name="pixels")
    tiles = keras.layers.Rescaling(scale, -np.asarray(mean, dtype=np.float32) * scale, name="standardise")(pixels)
    if jitter:
        tiles = RadiometricJitter(jitter, seed, name="jitter")(tiles)
    return keras.Model(pixels, network(tiles))
