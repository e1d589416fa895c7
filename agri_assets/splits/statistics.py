"""Mean and standard deviation per band of the train split, exactly, shard by shard."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agri_assets.cube.open import cube_info
from agri_assets.errors import SplitError
from agri_assets.progress import meter
from agri_assets.splits.chosen import TileSamples, chosen
from agri_assets.splits.shards import Pixels, ShardReader, grouped, positions
from agri_assets.store.layout import CollectionPaths

BLOCK_PIXELS = 2**20
"""Pixels per band summed at once: squares of 16 bits then stay below 2**52, so that float64 sums are exact integers."""

THREADS = min(4, os.cpu_count() or 1)
"""Shards summed at a time. Reading already uses all cores, summing one; each thread holds a shard of about 20 MB."""


@dataclass(frozen=True)
class TrainStatistics:
    """Statistics in stored counts (reflectance times 10000, or dn8).

    Attributes:
        mean: Per band.
        std: Per band; population standard deviation.
        pixels: Valid pixels per band.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    pixels: tuple[int, ...]


@dataclass(frozen=True)
class _Shard:
    """A shard, and the places in it that are wanted."""

    reader: ShardReader
    number: int
    places: NDArray[np.int64]


@dataclass
class _Sums:
    """Integer sums per band; Python's integers have no limit, so the result does not depend on any order."""

    count: list[int]
    total: list[int]
    squares: list[int]

    def add(self, band: int, pixels: Pixels, skip_zero: bool) -> None:
        """Count in pixels of one band, at most `BLOCK_PIXELS`."""
        values = pixels.ravel().astype(np.float64)
        self.count[band] += int(np.count_nonzero(pixels)) if skip_zero else pixels.size
        self.total[band] += int(values.sum())
        self.squares[band] += int(values @ values)

    def join(self, other: "_Sums") -> None:
        """Count in what another one has counted."""
        for mine, theirs in zip(self.lists, other.lists, strict=True):
            mine[:] = [a + b for a, b in zip(mine, theirs, strict=True)]

    @property
    def lists(self) -> tuple[list[int], list[int], list[int]]:
        """All of them."""
        return self.count, self.total, self.squares

    @classmethod
    def zero(cls, bands: int) -> "_Sums":
        """Nothing counted yet."""
        return cls(*([0] * bands for _ in range(3)))


def statistics_of_train(
    file: Path, paths: CollectionPaths, tiles: Iterable[str], total: int, bands: tuple[str, ...]
) -> TrainStatistics:
    """The statistics of those samples that assignments put into train.

    Args:
        file: The assignments, recorded or not yet.
        paths: The collection's.
        tiles: All tiles of the split, in order of name.
        total: How many samples are in train, for the progress.
        bands: Band names in cube order.

    Raises:
        SplitError: As `train_statistics`, or the assignments do not fit the tile indexes.
        CubeError: Pixels are gone or cannot be read.
    """
    cubes = {tile: paths.cube(tile) for tile in tiles}
    infos = {tile: cube_info(cube) for tile, cube in cubes.items()}
    samples = chosen(file, paths, {tile: positions(info) for tile, info in infos.items()}, "train")
    return train_statistics(samples, total, cubes, bands, next(iter(infos.values())).units)


def train_statistics(
    samples: Iterable[TileSamples], total: int, cubes: Mapping[str, Path], bands: tuple[str, ...], units: str
) -> TrainStatistics:
    """Read every sample once, shard by shard, and sum it up. Memory holds a few shards, however many there are.

    Valid pixels only: above 0 for reflectance (0 is nodata), all for dn8.

    Args:
        samples: The train samples, tile by tile.
        total: How many there are, for the progress.
        cubes: The cube of each tile.
        bands: Band names in cube order.
        units: `reflectance` or `dn8`.

    Raises:
        SplitError: A band has no valid pixel, or the same value in all.
    """
    sums = _Sums.zero(len(bands))
    with meter("statistics of the train split", total, "samples") as progress, ThreadPoolExecutor(THREADS) as pool:
        for part, count in _few_at_a_time(pool, _shards(samples, cubes), len(bands), units == "reflectance"):
            sums.join(part)
            progress.advance(count)
    return _finished(sums, bands)


def _shards(samples: Iterable[TileSamples], cubes: Mapping[str, Path]) -> Iterator[_Shard]:
    """The shards that hold samples, as stored."""
    for tile in samples:
        reader = ShardReader.open(cubes[tile.tile])
        for slot, kinds in sorted(tile.slots.items()):
            row, col = np.nonzero(kinds)
            number = reader.layout.shard_of(np.full(len(row), slot), row, col)
            for shard, mine in grouped(number):
                yield _Shard(reader, shard, reader.layout.place_of(row[mine], col[mine]))


def _few_at_a_time(
    pool: ThreadPoolExecutor, shards: Iterable[_Shard], bands: int, skip_zero: bool
) -> Iterator[tuple[_Sums, int]]:
    """The sums and the number of samples of each shard; no more shards are held than threads work."""
    waiting: deque[Future[tuple[_Sums, int]]] = deque()
    for shard in shards:
        waiting.append(pool.submit(_summed, shard, bands, skip_zero))
        if len(waiting) >= THREADS:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _summed(shard: _Shard, bands: int, skip_zero: bool) -> tuple[_Sums, int]:
    """The sums of the wanted positions of a shard, band by band, and how many positions there are."""
    sums, tiles = _Sums.zero(bands), shard.reader.read(shard.number)
    step = max(1, BLOCK_PIXELS // shard.reader.layout.tile_size**2)
    for start in range(0, len(shard.places), step):
        piece = tiles[shard.places[start : start + step]]
        for band in range(bands):
            sums.add(band, piece[:, band], skip_zero)
    return sums, len(shard.places)


def _finished(sums: _Sums, bands: tuple[str, ...]) -> TrainStatistics:
    mean, std = [], []
    for band, n, total, squares in zip(bands, sums.count, sums.total, sums.squares, strict=True):
        spread = n * squares - total * total
        if n == 0 or spread == 0:
            state = "no valid pixel" if n == 0 else f"the value {total // n} everywhere"
            raise SplitError(f"band {band} has {state} in the train split; remove it from `bands` or mend its source")
        mean.append(total / n)
        std.append(sqrt(spread) / n)
    return TrainStatistics(tuple(mean), tuple(std), tuple(sums.count))
