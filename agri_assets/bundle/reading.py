"""The windows of a product, shard by shard, by the cube's own rules: memory does not grow with the scene.

Each pixel is decoded once: a shard's windows are those that end in it, and what they reach back into was read before.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from agri_assets.bundle.scene import Scene
from agri_assets.cube.decode import fill
from agri_assets.cube.plan import CLASSES, BandPlan, plan_scene
from agri_assets.cube.raster import Rasters
from agri_assets.loading.ahead import read_ahead
from agri_assets.maps.windows import Index, WindowGrid, shares
from agri_assets.scenes.clouds import clear_mask, valid_mask

AHEAD = 1
"""Shards read while one is predicted."""

Pixels = npt.NDArray[np.uint16]
Masks = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Windows:
    """Some windows, ready to be predicted.

    Attributes:
        row: Row of each window, (n,).
        col: Column of each window, (n,).
        pixels: (n, bands, edge, edge), in the cube's convention.
    """

    row: Index
    col: Index
    pixels: Pixels


@dataclass(frozen=True)
class Block:
    """The windows that end in one shard.

    Attributes:
        pixels: (bands, height, width), in the cube's convention.
        top: Row of windows that begins at its upper edge.
        left: Column of windows that begins at its left edge.
        usable: (rows, columns) of its windows: whether each is clear and complete enough.
        stride: Pixels from one window to the next.
    """

    pixels: Pixels
    top: int
    left: int
    usable: Masks
    stride: int

    def batches(self, most: int) -> Iterator[Windows]:
        """Its usable windows, so many at a time: together they would take the pixels many times over."""
        edge = self.pixels.shape[1] - (self.usable.shape[0] - 1) * self.stride
        every = np.lib.stride_tricks.sliding_window_view(self.pixels, (edge, edge), axis=(1, 2))
        windows = every[:, :: self.stride, :: self.stride].transpose(1, 2, 0, 3, 4)
        row, col = np.nonzero(self.usable)
        for start in range(0, len(row), most):
            part = row[start : start + most], col[start : start + most]
            yield Windows(self.top + part[0], self.left + part[1], windows[part])


class Seam:
    """Joins shards, read row by row, to the margin of those above and to the left of them."""

    def __init__(self, margin: int) -> None:
        """Nothing was read yet.

        Args:
            margin: Pixels that a shard's windows reach back.
        """
        self._margin = margin
        self._above: dict[int, npt.NDArray[Any]] = {}
        self._left: npt.NDArray[Any] | None = None

    def join(self, shard: npt.NDArray[Any], x: int) -> npt.NDArray[Any]:
        """A shard (planes, height, width) whose first column is `x`, larger by the margin where there is one."""
        above, left = self._above.get(x), self._left if x else None
        block = shard if above is None else np.concatenate([above, shard], axis=1)
        block = block if left is None else np.concatenate([left, block], axis=2)
        if self._margin:
            self._above[x] = shard[:, -self._margin :].copy()
            self._left = block[:, :, -self._margin :].copy()
        return block


@dataclass(frozen=True)
class Reader:
    """Reads a product once, from its first shard to its last.

    Attributes:
        scene: The product.
        grid: Its windows.
        rasters: Its open files.
    """

    scene: Scene
    grid: WindowGrid
    rasters: Rasters

    def blocks(self) -> Iterator[Block]:
        """The windows, shard by shard and row by row of shards."""
        margin = self.grid.tile_size - self.grid.stride
        of_pixels, of_masks = Seam(margin), Seam(margin)
        for y, x in self.scene.info.shards:
            shape = self._shape(y, x)
            if 0 in shape:
                continue
            pixels = self._pixels(y, x, shape)
            masks = of_masks.join(self._masks(pixels, y, x), x)
            place = (max(0, y - margin) // self.grid.stride, max(0, x - margin) // self.grid.stride)
            yield Block(of_pixels.join(pixels, x), *place, self._usable(masks), self.grid.stride)

    def _shape(self, y: int, x: int) -> tuple[int, int]:
        """Height and width of a shard, as far as it lies in whole positions."""
        ends = (count * self.grid.tile_size for count in self.grid.positions)
        sizes = zip(ends, (y, x), self.scene.info.shard_shape(y, x), strict=True)
        height, width = (max(0, min(size, end - start)) for end, start, size in sizes)
        return height, width

    def _pixels(self, y: int, x: int, shape: tuple[int, int]) -> Pixels:
        bands = self.scene.contract.bands
        pixels = np.zeros((len(bands), *shape), dtype=np.uint16)
        for name, plan in self._plans.items():
            if name != CLASSES:
                fill(self.rasters, pixels[bands.index(name)], plan, y, x)
        return pixels

    def _masks(self, pixels: Pixels, y: int, x: int) -> Masks:
        """Which pixels are valid, and which are clear; without a classification all that is valid is clear."""
        data, plan = pixels.min(axis=0) > 0, self._plans.get(CLASSES)
        if plan is None:
            return np.stack([data, data])
        clouds, resolution = self.scene.contract.clouds, self.scene.grid.resolution
        # with the neighbours that grown clouds come from
        halo = math.ceil(clouds.dilate_m / resolution)
        around = np.zeros(tuple(size + 2 * halo for size in data.shape), dtype=np.uint8)
        fill(self.rasters, around, plan, y - halo, x - halo)
        middle = (slice(halo, halo + data.shape[0]), slice(halo, halo + data.shape[1]))
        valid = valid_mask(data, around[middle])
        return np.stack([valid, valid & clear_mask(around, clouds, resolution)[middle]])

    def _usable(self, masks: Masks) -> Masks:
        valid, clear = (shares(mask, self.grid.tile_size, self.grid.stride) for mask in masks)
        return np.asarray((clear >= self.scene.contract.min_clear) & (valid >= self.scene.contract.min_valid))

    @cached_property
    def _plans(self) -> dict[str, BandPlan]:
        return {plan.name: plan for plan in plan_scene(self.scene.record, self.scene.info, self.rasters)}


def read_blocks(scene: Scene, grid: WindowGrid) -> Iterator[Block]:
    """The windows that end in each shard; one shard is read while another is used.

    Raises:
        SceneError: A raster cannot be read.
    """
    rasters = Rasters()
    # in turn, GDAL's block cache keeps a row of coarse blocks until the next row of shards has read them, too
    try:
        yield from read_ahead(Reader(scene, grid, rasters).blocks(), AHEAD)
    finally:
        rasters.close()
