"""Augmentation of whole batches on the device: geometry and radiometry on stored counts, then mixing.

Only mixing works on standardised numbers.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from timm.data.mixup import Mixup
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample, one_hot

from agri_assets.training.recipe import Recipe

NODATA_UNITS = "reflectance"
"""Units in which a count of 0 is no measurement, and every measurement is 1 or more."""

HALF = 0.5
"""Where less than this share of an interpolated pixel is known, it is nodata."""


class Geometry(nn.Module):
    """Random scale, proportions and angle about a random centre, per sample, by bilinear interpolation.

    A place (x, y) of the changed tile shows what lies at `zoom * turn(angle) @ (x * aspect, y / aspect)` of the tile,
    shifted as far as a window that is smaller than the tile can be. Nodata takes no part in interpolation.
    """

    def __init__(self, recipe: Recipe, units: str) -> None:
        super().__init__()
        self.zoom, self.rotation, self.nodata = recipe.zoom, recipe.rotation, units == NODATA_UNITS

    def forward(self, pixels: Tensor) -> Tensor:
        """Counts (b, bands, edge, edge) to changed ones in float32; as they are where the recipe changes nothing."""
        if not (self.zoom or self.rotation):
            return pixels
        counts = pixels.to(torch.float32)
        grid = affine_grid(self._matrices(len(counts), counts.device), list(counts.shape), align_corners=False)
        if not self.nodata:
            return _sampled(counts, grid)
        share = _sampled((counts > 0).to(torch.float32), grid)
        mean = _sampled(counts, grid) / share.clamp(min=HALF)
        return torch.where(share >= HALF, mean.clamp(min=1.0), 0.0)

    def _matrices(self, size: int, device: torch.device) -> Tensor:
        """Where each place of a tile is taken from, (b, 2, 3), in half edges from the middle."""
        draws = 2 * torch.rand(5, size, device=device) - 1
        scale, aspect = (self.zoom * draws[0]).exp(), (self.zoom / 2 * draws[1]).exp()
        angle = math.pi * self.rotation * draws[2]
        shift = draws[3:] * (1 - scale).clamp(min=0.0)
        across = torch.stack([scale * aspect * angle.cos(), -scale / aspect * angle.sin(), shift[0]], dim=1)
        down = torch.stack([scale * aspect * angle.sin(), scale / aspect * angle.cos(), shift[1]], dim=1)
        return torch.stack([across, down], dim=1)


def _sampled(values: Tensor, grid: Tensor) -> Tensor:
    return grid_sample(values, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


class Radiometry(nn.Module):
    """Random gain, offset and noise on stored counts, in each band's own mean and standard deviation.

    `c' = mean + (c - mean) * exp(s * a_band + t * a_all) + std * (s * b_band + t * b_all + n * u * noise)`, where a, b
    and noise are normal and u is uniform: a, b and u are drawn per sample (a and b per band as well), noise per pixel;
    s, t and n are the recipe's `jitter`, `brightness` and `noise`. In reflectance, nodata stays 0 and no valid pixel
    falls below 1.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, recipe: Recipe, mean: Sequence[float], std: Sequence[float], units: str) -> None:
        super().__init__()
        self.jitter, self.brightness, self.noise = recipe.jitter, recipe.brightness, recipe.noise
        self.nodata = units == NODATA_UNITS
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).reshape(1, -1, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Counts (b, bands, height, width) to changed ones in float32; as they are where the recipe changes nothing."""
        if not (self.jitter or self.brightness or self.noise):
            return pixels
        counts = pixels.to(torch.float32)
        gain, offset = self._per_sample(counts), self._per_sample(counts)
        if self.noise:
            strength = self.noise * torch.rand(len(counts), 1, 1, 1, device=counts.device)
            offset = offset + strength * torch.randn_like(counts)
        changed = self.mean + (counts - self.mean) * gain.exp() + self.std * offset
        if self.nodata:
            return torch.where(counts > 0, changed.clamp(min=1.0), 0.0)
        return changed.clamp(min=0.0)

    def _per_sample(self, counts: Tensor) -> Tensor:
        size, bands = counts.shape[:2]
        own = self.jitter * torch.randn(size, bands, 1, 1, device=counts.device)
        return own + self.brightness * torch.randn(size, 1, 1, 1, device=counts.device)


class Mixing:
    """CutMix and MixUp of a batch with itself in reverse order, by timm; targets become shares of classes."""

    def __init__(self, recipe: Recipe, classes: int) -> None:
        """Prepare.

        Args:
            recipe: Its `cutmix`, `mixup` and `mix_probability`.
            classes: How many there are.
        """
        self.classes = classes
        make: Any = Mixup
        wanted = recipe.mixup or recipe.cutmix
        options = {"prob": recipe.mix_probability, "label_smoothing": 0.0, "num_classes": classes}
        self.mixup = make(recipe.mixup, recipe.cutmix, **options) if wanted else None

    def __call__(self, tiles: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        """Standardised tiles (b, bands, height, width), changed in place, and shares (b, classes), float32.

        Args:
            tiles: The batch.
            classes: Number of the class of each tile, (b,), int64.
        """
        shares = one_hot(classes, self.classes).to(tiles.dtype)
        # timm takes pairs: the last tile of an odd batch stays as it is
        even = len(tiles) // 2 * 2
        if self.mixup is not None and even:
            _, shares[:even] = self.mixup(tiles[:even], classes[:even])
        return tiles, shares
