"""Mean and standard deviation per band of the train split, exactly, shard by shard."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import numpy as np
import pandas as pd

from agri_assets.errors import SplitError
from agri_assets.progress import meter
from agri_assets.splits.shards import Pixels, ShardReader, grouped

BLOCK_PIXELS = 2**20
"""Pixels per band summed at once: squares of 16 bits then stay below 2**52, so that float64 sums are exact integers."""


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


@dataclass
class _Sums:
    """Integer sums per band; Python's integers have no limit, so the result does not depend on any order."""

    count: list[int]
    total: list[int]
    squares: list[int]

    def add(self, pixels: Pixels, skip_zero: bool) -> None:
        """Count in pixels (n, bands, height, width)."""
        for band in range(pixels.shape[1]):
            values = pixels[:, band].astype(np.float64).ravel()
            self.count[band] += int(np.count_nonzero(values)) if skip_zero else values.size
            self.total[band] += int(values.sum())
            self.squares[band] += int(values @ values)


def train_statistics(
    rows: pd.DataFrame, cubes: Mapping[str, Path], bands: tuple[str, ...], units: str
) -> TrainStatistics:
    """Read every sample of `rows` once and sum it up.

    Valid pixels only: above 0 for reflectance (0 is nodata), all for dn8.

    Args:
        rows: Columns `tile`, `slot`, `row`, `col`.
        cubes: The cube of each tile.
        bands: Band names in cube order.
        units: `reflectance` or `dn8`.

    Raises:
        SplitError: A band has no valid pixel, or the same value in all.
    """
    sums = _Sums(*([0] * len(bands) for _ in range(3)))
    readers = {str(tile): ShardReader.open(cubes[str(tile)]) for tile in sorted(rows["tile"].unique())}
    with meter("statistics of the train split", len(rows), "samples") as progress:
        for tile, reader in readers.items():
            part = rows[rows["tile"] == tile]
            slot, row, col = (part[name].to_numpy(np.int64) for name in ("slot", "row", "col"))
            for shard, places in grouped(reader.layout.shard_of(slot, row, col)):
                block = reader.read(shard)
                step = max(1, BLOCK_PIXELS // reader.layout.tile_size**2)
                for start in range(0, len(places), step):
                    wanted = places[start : start + step]
                    tiles = np.stack([reader.tile(block, row[k], col[k]) for k in wanted])
                    sums.add(tiles, skip_zero=units == "reflectance")
                progress.advance(len(places))
    return _finished(sums, bands)


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
