"""Augmentation of whole batches by Keras on the device: radiometry on stored counts, mixing on standardised numbers."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np


class Radiometry(keras.layers.Layer):  # type: ignore[misc]  # keras has no types
    """Random gain, offset and noise on stored counts, in each band's own mean and standard deviation.

    `c' = mean + (c - mean) * exp(s * a_band + t * a_all) + std * (s * b_band + t * b_all + n * u * noise)`, where a, b
    and noise are normal and u is uniform: a, b and u are drawn per sample (a and b per band as well), noise per pixel;
    s, t and n are `jitter`, `brightness` and `noise`. Where 0 is nodata it stays 0, and no valid pixel falls below 1.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        jitter: float,
        brightness: float,
        noise: float,
        nodata: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.mean, self.std = (np.asarray(values, dtype=np.float32) for values in (mean, std))
        self.jitter, self.brightness, self.noise, self.nodata = jitter, brightness, noise, nodata
        self.seeds = keras.random.SeedGenerator(0)

    def call(self, counts: Any) -> Any:
        """Counts (b, height, width, bands) to changed ones; untouched where nothing is asked for."""
        if not (self.jitter or self.brightness or self.noise):
            return counts
        shape = keras.ops.shape(counts)
        gain, offset = self._per_sample(shape), self._per_sample(shape)
        if self.noise:
            strength = keras.random.uniform((shape[0], 1, 1, 1), maxval=self.noise, seed=self.seeds)
            offset = offset + strength * keras.random.normal(shape, seed=self.seeds)
        mean, std = keras.ops.convert_to_tensor(self.mean), keras.ops.convert_to_tensor(self.std)
        changed = mean + (counts - mean) * keras.ops.exp(gain) + std * offset
        if self.nodata:
            return keras.ops.where(counts > 0, keras.ops.maximum(changed, 1.0), 0.0)
        return keras.ops.maximum(changed, 0.0)

    def _per_sample(self, shape: Sequence[Any]) -> Any:
        own = keras.random.normal((shape[0], 1, 1, shape[3]), stddev=self.jitter, seed=self.seeds)
        return own + keras.random.normal((shape[0], 1, 1, 1), stddev=self.brightness, seed=self.seeds)


class Mixing(keras.layers.Layer):  # type: ignore[misc]  # keras has no types
    """CutMix or MixUp of a batch with a permutation of itself, by Keras's own layers; targets mix alike.

    A share of the batches is mixed; with both, each of these draws one.
    """

    def __init__(self, *, cutmix: float, mixup: float, probability: float, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.probability = probability
        self.mixers: list[Any] = []
        if cutmix:
            # a range of no width: Keras would draw the alpha itself anew for every batch
            self.mixers.append(keras.layers.CutMix((cutmix, cutmix), seed=0, dtype="float32"))
        if mixup:
            self.mixers.append(keras.layers.MixUp(mixup, seed=0, dtype="float32"))
        self.seeds = keras.random.SeedGenerator(0)

    def build(self, *shapes: Any) -> None:
        """Nothing is left to build; said, since Keras warns of a layer of layers that does not."""
        self.built = True

    def call(self, tiles: Any, targets: Any) -> tuple[Any, Any]:
        """Tiles (b, height, width, bands) and shares of classes (b, outputs), both of the same shape afterwards."""
        if not self.mixers or not self.probability:
            return tiles, targets
        drawn = keras.random.uniform((), seed=self.seeds)
        number = keras.ops.cast(drawn / self.probability * len(self.mixers), "int32")
        branches = [_mixed_by(mixer) for mixer in self.mixers]
        mixed: tuple[Any, Any] = keras.ops.switch(number, [*branches, _unmixed], tiles, targets)
        return mixed


def _mixed_by(mixer: Any) -> Any:
    def mixed(tiles: Any, targets: Any) -> tuple[Any, Any]:
        both = mixer({"images": tiles, "labels": targets}, training=True)
        return both["images"], both["labels"]

    return mixed


def _unmixed(tiles: Any, targets: Any) -> tuple[Any, Any]:
    return tiles, targets
