"""The streaming reader: batches of whole tiles, each shard read once and whole, in an order set by (seed, epoch) alone.

Any batch can be asked for by its number. Asked in order, every shard is read once and forgotten after its last sample;
asked out of order or in strides (a worker's share), the batches are the same and only the reading costs more.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agri_assets.loading.ahead import ReadAhead
from agri_assets.loading.augment import choose_orientations, orient
from agri_assets.loading.order import PIECE, Index, Numbers, shuffled_order, storage_order
from agri_assets.loading.samples import SampleTable
from agri_assets.splits.shards import Pixels, ShardLayout, ShardReader

TILE_SHIFT = 40
"""Bits of a shard's number within its cube; the tile's stands above them."""


class Batch(NamedTuple):
    """Some samples, ready to move.

    Attributes:
        pixels: (batch, bands, height, width), uint16, contiguous: the cube's own counts.
        label: (batch,), float32.
        index: (batch,), int64: numbers of the samples in their table.
    """

    pixels: Pixels
    label: NDArray[np.float32]
    index: Index  # type: ignore[assignment]  # hides tuple.index, which no batch needs


class _Epoch(NamedTuple):
    """The plan of one epoch: its number, the order of samples, and the last batch that needs each shard."""

    number: int
    order: Numbers
    last_use: Numbers


@dataclass
class TileStream:
    """Reads the samples of a table batch by batch, for one consumer at a time.

    Attributes:
        samples: What to read.
        cubes: The cube of each tile.
        batch_size: Samples per batch; the last batch of an epoch may be smaller.
        seed: Of order and orientations.
        shuffle: Mix shards and samples anew in every epoch; otherwise storage order.
        shuffle_shards: Shards mixed at a time; also how many are held in memory.
        orientations: Turn and mirror each sample at random, anew in every epoch.
        epoch: The epoch that plain iteration reads.
    """

    samples: SampleTable
    cubes: Mapping[str, Path]
    batch_size: int
    seed: int = 0
    shuffle: bool = False
    shuffle_shards: int = 8
    orientations: bool = False
    epoch: int = 0
    _readers: dict[str, ShardReader] = field(default_factory=dict, init=False, repr=False)
    _shard: Numbers = field(init=False, repr=False)
    _numbers: list[tuple[str, int]] = field(init=False, repr=False)
    _plan: _Epoch | None = field(default=None, init=False, repr=False)
    _held: dict[int, Pixels] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self._shard, self._numbers = self._find_shards()

    def __len__(self) -> int:
        """Batches in one epoch."""
        return -(-len(self.samples) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        """The batches of the current epoch, in order, read ahead by a thread."""
        epoch = self.epoch
        ahead = ReadAhead(lambda number: self.read(epoch, number), len(self))
        try:
            for number in range(len(self)):
                yield ahead.get(number)
        finally:
            ahead.close()

    def __getstate__(self) -> dict[str, object]:
        """Open stores and pixels stay behind: a worker opens its own."""
        return {**self.__dict__, "_readers": {}, "_plan": None, "_held": {}}

    def read(self, epoch: int, number: int) -> Batch:
        """Batch `number` of `epoch`.

        Raises:
            IndexError: There is no such batch.
            CubeError: A cube cannot be opened.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"batch {number} of {len(self)}")
        plan = self._plan_for(epoch)
        index = plan.order[number * self.batch_size : (number + 1) * self.batch_size].astype(np.int64)
        for shard in [held for held in self._held if plan.last_use[held] < number]:
            del self._held[shard]
        return Batch(self._pixels(epoch, index), self.samples.label[index].astype(np.float32), index)

    def _pixels(self, epoch: int, index: Index) -> Pixels:
        samples = self.samples
        turns = choose_orientations(self.seed, epoch, index) if self.orientations else np.zeros(len(index), np.uint8)
        columns = (self._shard[index], samples.row[index], samples.col[index], turns)
        reader, block = self._block(int(self._shard[index[0]]))
        edge = reader.layout.tile_size
        pixels = np.empty((len(index), len(block), edge, edge), dtype=np.uint16)
        for place, (shard, row, col, turn) in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
            reader, block = self._block(shard)
            pixels[place] = orient(reader.tile(block, row, col), turn)
        return pixels

    def _block(self, shard: int) -> tuple[ShardReader, Pixels]:
        tile, number = self._numbers[shard]
        reader = self._readers.get(tile)
        if reader is None:
            reader = self._readers[tile] = ShardReader.open(self.cubes[tile])
        block = self._held.get(shard)
        if block is None:
            block = self._held[shard] = reader.read(number)
        return reader, block

    def _plan_for(self, epoch: int) -> _Epoch:
        if self._plan is None or self._plan.number != epoch:
            self._plan, self._held = None, {}
            if self.shuffle:
                order = shuffled_order(self._shard, self.seed, epoch, self.shuffle_shards)
            else:
                order = storage_order(self._shard)
            last_use = np.zeros(len(self._numbers), dtype=np.int32)
            for number in range(len(self)):
                last_use[self._shard[order[number * self.batch_size : (number + 1) * self.batch_size]]] = number
            self._plan = _Epoch(epoch, order, last_use)
        return self._plan

    def _find_shards(self) -> tuple[Numbers, list[tuple[str, int]]]:
        """The shard of each sample, numbered from 0 over all cubes, and the place of each shard."""
        samples, layouts = self.samples, _Layouts(self.samples.tiles, self.cubes)
        pieces = [slice(start, start + PIECE) for start in range(0, len(samples), PIECE)]
        found = [np.unique(layouts.keys(samples, piece)) for piece in pieces]
        distinct = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *found]))
        shard = np.empty(len(samples), dtype=np.int32)
        for piece in pieces:
            shard[piece] = np.searchsorted(distinct, layouts.keys(samples, piece))
        return shard, [(samples.tiles[key >> TILE_SHIFT], key % (1 << TILE_SHIFT)) for key in distinct.tolist()]


@dataclass
class _Layouts:
    """The shards of several cubes under one numbering, in order of tile; a cube is opened when a sample of it comes."""

    tiles: tuple[str, ...]
    cubes: Mapping[str, Path]
    known: dict[int, ShardLayout] = field(default_factory=dict)

    def keys(self, samples: SampleTable, piece: slice) -> Index:
        """Tile and number of the shard of each of some samples, as one number."""
        tile = samples.tile[piece].astype(np.int64)
        keys = tile << TILE_SHIFT
        for code in np.unique(tile).tolist():
            if code not in self.known:
                self.known[code] = ShardReader.open(self.cubes[self.tiles[code]]).layout
            mine = tile == code
            slot, row, col = (axis[piece][mine] for axis in (samples.slot, samples.row, samples.col))
            keys[mine] += self.known[code].shard_of(slot, row, col)
        return keys
