"""The windows that are predicted, and how their probabilities become those of squares.

A window is as large as a tile position; one begins every `stride` pixels. A square is `stride` pixels wide, and its
probability is the mean of the windows that cover it. Where the stride is the tile size, windows, squares and positions
are the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


class Unit(NamedTuple):
    """The windows that begin in one shard, which are predicted together.

    Attributes:
        row: Row of the shard.
        col: Column of the shard.
    """

    row: int
    col: int


@dataclass(frozen=True)
class WindowGrid:
    """All windows within the whole positions of a tile.

    Attributes:
        positions: Rows and columns of whole positions.
        tile_size: Edge of a window, in pixels.
        stride: Pixels from one window to the next: a divisor of the tile size.
        shard: Positions along the edge of a shard.
    """

    positions: tuple[int, int]
    tile_size: int
    stride: int
    shard: int

    @property
    def overlap(self) -> int:
        """Squares along the edge of a window: how many windows cover a square, along each axis."""
        return self.tile_size // self.stride

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of windows."""
        rows, cols = self.squares
        return max(0, rows - self.overlap + 1), max(0, cols - self.overlap + 1)

    @property
    def squares(self) -> tuple[int, int]:
        """Rows and columns of squares."""
        return self.positions[0] * self.overlap, self.positions[1] * self.overlap

    @property
    def units(self) -> Iterator[Unit]:
        """The shards that windows begin in, row by row."""
        rows, cols = (-(-size // self.shard) for size in self.positions)
        return (Unit(row, col) for row in range(rows) for col in range(cols))

    def part(self, unit: Unit) -> tuple[slice, slice]:
        """Rows and columns of a unit's windows."""
        edge = self.shard * self.overlap
        rows, cols = self.shape
        return (
            slice(unit.row * edge, min((unit.row + 1) * edge, rows)),
            slice(unit.col * edge, min((unit.col + 1) * edge, cols)),
        )

    def part_positions(self, unit: Unit) -> tuple[slice, slice]:
        """Rows and columns of a unit's positions."""
        down, across = unit.row * self.shard, unit.col * self.shard
        rows, cols = self.positions
        return slice(down, min(down + self.shard, rows)), slice(across, min(across + self.shard, cols))

    def home(self, window: Index) -> Index:
        """Row (or column) of the position that holds the centre of each window, by its row (or column)."""
        return (window * self.stride + self.tile_size // 2) // self.tile_size

    def aligned(self, row: Index, col: Index) -> npt.NDArray[np.bool_]:
        """Which windows are positions."""
        return np.asarray((row % self.overlap == 0) & (col % self.overlap == 0))

    def mean(self, probability: Floats) -> Floats:
        """Probabilities of squares from those of windows (`shape`); NaN where no window that is known covers one."""
        known = np.isfinite(probability)
        total = spread(np.where(known, probability, 0.0), self.overlap)
        count = spread(known.astype(np.float64), self.overlap)
        return np.asarray(np.divide(total, count, out=np.full(self.squares, np.nan), where=count > 0))

    def of_positions(self, squares: Floats) -> Floats:
        """Probabilities of positions: the means of their squares, as far as these are known."""
        (rows, cols), edge = self.positions, self.overlap
        grid = squares.reshape(rows, edge, cols, edge)
        known = np.isfinite(grid)
        total, count = np.where(known, grid, 0.0).sum(axis=(1, 3)), known.sum(axis=(1, 3))
        return np.asarray(np.divide(total, count, out=np.full(self.positions, np.nan), where=count > 0))


def spread(windows: Floats, overlap: int) -> Floats:
    """For every square the sum over the windows that cover it, one axis after the other."""
    rows, cols = windows.shape
    down = np.zeros((rows + overlap - 1, cols))
    for shift in range(overlap):
        down[shift : shift + rows] += windows
    both = np.zeros((rows + overlap - 1, cols + overlap - 1))
    for shift in range(overlap):
        both[:, shift : shift + cols] += down
    return both


def shares(pixels: npt.NDArray[Any], tile_size: int, stride: int) -> npt.NDArray[np.float32]:
    """The share of true pixels in each window of such a mask, rounded as the shares in a tile index are."""
    counts = covered(pixels, tile_size, stride).astype(np.float32)
    return np.asarray(counts / np.float32(tile_size**2), dtype=np.float32)


def covered(pixels: npt.NDArray[Any], tile_size: int, stride: int) -> Index:
    """How many true pixels each window of a (height, width) mask holds, whose edges are whole squares."""
    rows, cols = pixels.shape[0] // stride, pixels.shape[1] // stride
    squares = np.count_nonzero(pixels.reshape(rows, stride, cols, stride), axis=(1, 3))
    edge = tile_size // stride
    total = np.pad(squares.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    return np.asarray(total[edge:, edge:] - total[:-edge, edge:] - total[edge:, :-edge] + total[:-edge, :-edge])
