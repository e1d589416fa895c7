"""Reading samples the fast way: shards whole, then the wanted positions out of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from agri_assets.cube.open import cube_info, open_reflectance
from agri_assets.cube.schema import CubeInfo

Pixels = NDArray[np.uint16]


@dataclass(frozen=True)
class ShardLayout:
    """How one cube is cut into shards.

    Attributes:
        positions: Tile positions along the edge of a shard.
        columns: Shards in one row of shards.
        rows: Shards in one column of shards.
        tile_size: Edge of a position, in pixels.
    """

    positions: int
    columns: int
    rows: int
    tile_size: int

    @classmethod
    def of(cls, cube: Path) -> "ShardLayout":
        """The layout of a cube on disk."""
        info = cube_info(cube)
        rows, columns = -(-info.height // info.shard_size), -(-info.width // info.shard_size)
        return cls(info.shard_size // info.tile_size, columns, rows, info.tile_size)

    def shard_of(self, slot: NDArray[Any], row: NDArray[Any], col: NDArray[Any]) -> NDArray[np.int64]:
        """Number of the shard that holds each position: slots in order, in each the shards row by row."""
        number = slot.astype(np.int64) * self.rows + row // self.positions
        return np.asarray(number * self.columns + col // self.positions)

    def place(self, shard: int) -> tuple[int, int, int]:
        """(slot, row, column) of a shard, the latter two counted in shards."""
        number, column = divmod(shard, self.columns)
        return number // self.rows, number % self.rows, column


@dataclass(frozen=True)
class ShardReader:
    """Reads whole shards of one cube."""

    array: zarr.Array[Any]
    layout: ShardLayout

    @classmethod
    def open(cls, cube: Path) -> "ShardReader":
        """Open a cube for reading."""
        return cls(open_reflectance(cube), ShardLayout.of(cube))

    def read(self, shard: int) -> Pixels:
        """The pixels of a shard, (bands, height, width); smaller at the far edges of the cube."""
        slot, row, column = self.layout.place(shard)
        edge = self.layout.positions * self.layout.tile_size
        y, x = row * edge, column * edge
        # every axis by a slice: zarrs reads other index forms at a quarter of the rate
        block = self.array[slot : slot + 1, :, y : y + edge, x : x + edge]
        pixels: Pixels = np.asarray(block, dtype=np.uint16)[0]
        return pixels

    def tile(self, block: Pixels, row: int, col: int) -> Pixels:
        """View of one position in its shard's pixels, (bands, tile_size, tile_size)."""
        y = row % self.layout.positions * self.layout.tile_size
        x = col % self.layout.positions * self.layout.tile_size
        return block[:, y : y + self.layout.tile_size, x : x + self.layout.tile_size]


def positions(info: CubeInfo) -> tuple[int, int]:
    """Rows and columns of whole positions of a cube."""
    return info.height // info.tile_size, info.width // info.tile_size


def grouped(keys: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Each distinct key in rising order, with the places at which it stands."""
    order = np.argsort(keys, kind="stable")
    values, starts = np.unique(keys[order], return_index=True)
    yield from zip(values.tolist(), np.split(order, starts[1:]), strict=True)
