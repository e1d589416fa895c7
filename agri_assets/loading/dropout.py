"""Bands and rectangles that samples lose in training, by albumentations; the only module that knows it.

What is lost becomes the mean of its band over train, which is 0 for the network. The stored 0 means that nothing was
measured and lies several deviations off: it would be the strongest signal of the tile.
"""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agri_assets.loading.augment import Augmentation, chances
from agri_assets.splits.shards import Pixels

# without it the import asks a server for newer releases
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations

BANDS = 1 / 4
"""Largest share of the bands that a sample loses; one band at least, and never all."""

HOLES = {"num_holes_range": (1, 4), "hole_height_range": (0.1, 0.3), "hole_width_range": (0.1, 0.3)}
"""How many rectangles, and their edges as shares of the tile's."""


class BandDropout(albumentations.ChannelDropout):  # type: ignore[misc]  # albumentations has no types
    """Albumentations' dropout of channels, with a value for each."""

    def __init__(self, fill: tuple[int, ...]) -> None:
        super().__init__(channel_drop_range=(1, max(1, int(len(fill) * BANDS))), p=1.0)
        self.values = np.array(fill, dtype=np.uint16)

    def apply(self, img: Pixels, channels_to_drop: list[int], **params: Any) -> Pixels:
        """The image, bands last, without these channels."""
        left = img.copy()
        left[..., channels_to_drop] = self.values[channels_to_drop]
        return left


class Dropout:
    """Drops bands and rectangles of samples in place."""

    def __init__(self, augmentation: Augmentation) -> None:
        """Make what the settings ask for; a single band is never dropped."""
        fill = augmentation.fill
        self._kinds: list[tuple[int, float, Any]] = []
        if augmentation.band_dropout and len(fill) > 1:
            self._kinds.append((1, augmentation.band_dropout, BandDropout(fill)))
        if augmentation.coarse_dropout:
            holes = albumentations.CoarseDropout(**HOLES, fill=fill, p=1.0)
            self._kinds.append((2, augmentation.coarse_dropout, holes))

    def apply(self, pixels: Pixels, seed: int, epoch: int, index: NDArray[np.int64]) -> None:
        """Change those samples of a batch that lose something; the others are not touched.

        Args:
            pixels: (batch, bands, height, width).
            seed: Of the whole training.
            epoch: Number of the pass.
            index: Number of each sample in its table.
        """
        for purpose, probability, transform in self._kinds:
            numbers = chances(seed, epoch, index, purpose)
            # as many bits as a float holds, so that the share is below 1
            share = (numbers >> np.uint64(11)) * 2.0**-53
            for place in np.flatnonzero(share < probability).tolist():
                transform.set_random_seed(int(numbers[place]))
                tile = pixels[place]
                tile[...] = transform(image=tile.transpose(1, 2, 0))["image"].transpose(2, 0, 1)
