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
        if keras.backend.backend() != "torch" or not training:
            return super().call(inputs, training=training, mask=mask)
        if inputs.dtype.itemsize != 4 or math.prod(inputs.shape[:-1]) < 2:
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


def standardise(mean: Sequence[float], std: Sequence[float]) -> Any:
    """A layer from stored counts (b, height, width, bands) to `(count - mean) / std`.

    It computes in float32 whatever the policy: float16 has no more than 2048 steps for 10,000 counts.
    """
    scale = 1.0 / np.asarray(std, dtype=np.float32)
    return keras.layers.Rescaling(
        scale, -np.asarray(mean, dtype=np.float32) * scale, dtype="float32", name="standardise"
    )


def on_pixels(network: Any, mean: Sequence[float], std: Sequence[float]) -> Any:
    """The model from stored counts (b, height, width, bands) to logits (b, outputs), sharing the network's weights.

    Mean and std are constants of the model, not weights: they stand in the model's contract.
    """
    pixels = keras.Input(network.input_shape[1:], dtype="float32", name="pixels")
    return keras.Model(pixels, network(standardise(mean, std)(pixels)))
