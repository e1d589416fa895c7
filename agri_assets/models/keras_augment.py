"""Augmentation of whole batches by Keras on the device: geometry and radiometry on stored counts, then mixing.

Only mixing works on standardised numbers.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

HALF = 0.5
"""Where less than this share of an interpolated pixel is known, it is nodata."""


class Geometry(keras.layers.Layer):  # type: ignore[misc]  # keras has no types
    """Random scale, proportions and angle about a random centre, per sample, by bilinear interpolation.

    A place (x, y) of the changed tile shows what lies at `zoom * turn(angle) @ (x * aspect, y / aspect)` of the tile,
    shifted as far as a window that is smaller than the tile can be; what lies beyond the edge is its mirror image.
    Where 0 is nodata it takes no part in interpolation.
    """

    def __init__(self, *, zoom: float, rotation: bool, nodata: bool, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.zoom, self.rotation, self.nodata = zoom, rotation, nodata
        self.seeds = keras.random.SeedGenerator(0)

    def call(self, counts: Any) -> Any:
        """Counts (b, edge, edge, bands) to changed ones; untouched where nothing is asked for."""
        if not (self.zoom or self.rotation):
            return counts
        if not self.nodata:
            return self._sampled(counts)
        known = keras.ops.cast(counts > 0, "float32")
        total, share = keras.ops.split(self._sampled(keras.ops.concatenate([counts, known], axis=-1)), 2, axis=-1)
        mean = total / keras.ops.maximum(share, HALF)
        return keras.ops.where(share >= HALF, keras.ops.maximum(mean, 1.0), 0.0)

    def _sampled(self, values: Any) -> Any:
        matrices = self._matrices(keras.ops.shape(values)[0], float(values.shape[1]))
        return keras.ops.image.affine_transform(
            values, matrices, interpolation="bilinear", fill_mode="reflect", data_format="channels_last"
        )

    def _matrices(self, size: Any, edge: float) -> Any:
        """Where each pixel of a tile is taken from, (b, 8), in pixels, as Keras wants it."""
        draws = keras.random.uniform((5, size), minval=-1.0, maxval=1.0, seed=self.seeds)
        scale, aspect = keras.ops.exp(self.zoom * draws[0]), keras.ops.exp(self.zoom / 2 * draws[1])
        angle = math.pi * self.rotation * draws[2]
        cos, sin = keras.ops.cos(angle), keras.ops.sin(angle)
        across = scale * aspect * cos, -scale / aspect * sin
        down = scale * aspect * sin, scale / aspect * cos
        middle, free = (edge - 1) / 2, edge / 2 * keras.ops.maximum(1 - scale, 0.0)
        columns = [
            *(*across, middle * (1 - across[0] - across[1]) + free * draws[3]),
            *(*down, middle * (1 - down[0] - down[1]) + free * draws[4]),
        ]
        zero = keras.ops.zeros_like(scale)
        return keras.ops.stack([*columns, zero, zero], axis=1)


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
