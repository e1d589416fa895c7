"""Reading samples the fast way: shards whole, then the wanted positions out of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from agri_assets.cube.open import cube_info, open_tiles
from agri_assets.cube.schema import CubeInfo
from agri_assets.errors import CubeError
from agri_assets.splits.shard_cache import ShardCache

Pixels = NDArray[np.uint16]


@dataclass(frozen=True)
class ShardLayout:
    """How one cube is cut into shards.

    Attributes:
        positions: Tile positions along the edge of a shard.
        columns: Shards in one row of shards.
        rows: Shards in one column of shards.
        tile_size: Edge of a position, in pixels.
        bands: How many bands.
    """

    positions: int
    columns: int
    rows: int
    tile_size: int
    bands: int

    @classmethod
    def of(cls, info: CubeInfo) -> "ShardLayout":
        """The layout of a cube."""
        rows, columns = -(-info.height // info.shard_size), -(-info.width // info.shard_size)
        return cls(info.shard_size // info.tile_size, columns, rows, info.tile_size, len(info.bands))

    def shard_of(self, slot: NDArray[Any], row: NDArray[Any], col: NDArray[Any]) -> NDArray[np.int64]:
        """Number of the shard that holds each position: slots in order, in each the shards row by row."""
        number = slot.astype(np.int64) * self.rows + row // self.positions
        return np.asarray(number * self.columns + col // self.positions)

    @property
    def tile_shape(self) -> tuple[int, int, int]:
        """(bands, tile_size, tile_size)."""
        return self.bands, self.tile_size, self.tile_size

    def place_of(self, row: NDArray[Any], col: NDArray[Any]) -> NDArray[np.int64]:
        """Where each position stands among the tiles of its shard."""
        return np.asarray(row.astype(np.int64) % self.positions * self.positions + col % self.positions)

    def place(self, shard: int) -> tuple[int, int, int]:
        """(slot, row, column) of a shard, the latter two counted in shards."""
        number, column = divmod(shard, self.columns)
        return number // self.rows, number % self.rows, column


@dataclass(frozen=True)
class ShardReader:
    """Reads whole shards of one cube, as tiles.

    Attributes:
        array: The cube's tiles.
        layout: How it is cut into shards.
        cache: Copies of its shards on this machine, where they are kept.
    """

    array: zarr.Array[Any]
    layout: ShardLayout
    cache: ShardCache | None = None

    @classmethod
    def open(cls, cube: Path) -> "ShardReader":
        """Open a cube for reading."""
        info = cube_info(cube)
        return cls(open_tiles(cube), ShardLayout.of(info), ShardCache.of(cube, info))

    def read(self, shard: int) -> Pixels:
        """The tiles of a shard, (positions, bands, tile_size, tile_size), row by row; 0 beyond the cube's edge.

        Raises:
            CubeError: The shard is damaged.
            StoreError: The copies on this machine cannot be used.
        """
        layout, (slot, row, column) = self.layout, self.layout.place(shard)
        size = layout.bands * layout.tile_size**2
        # every axis by a slice: zarrs reads other index forms at a quarter of the rate
        place = (slice(slot, slot + 1), slice(None), slice(row, row + 1), slice(column * size, (column + 1) * size))
        try:
            tiles: Pixels = (
                self.cache.read(slot, row, column) if self.cache else np.asarray(self.array[place], dtype=np.uint16)
            )
        except RuntimeError as error:
            # zarrs has no error classes of its own: a flipped bit or a truncated shard ends here
            where = f"{self.array.store_path}, slot {slot}, shard {row}/{column}"
            raise CubeError(
                f"{where}: cannot be decoded ({error}); find the damage with `agri-assets verify`"
            ) from None
        return tiles.reshape(-1, *layout.tile_shape)


def positions(info: CubeInfo) -> tuple[int, int]:
    """Rows and columns of whole positions of a cube."""
    return info.height // info.tile_size, info.width // info.tile_size


def grouped(keys: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Each distinct key in rising order, with the places at which it stands."""
    order = np.argsort(keys, kind="stable")
    values, starts = np.unique(keys[order], return_index=True)
    yield from zip(values.tolist(), np.split(order, starts[1:]), strict=True)
