"""The streaming reader: batches of whole tiles, each shard read once and whole, in an order set by (seed, epoch) alone.

Any batch can be asked for by its number. Asked in order, every shard is read once and forgotten after its last sample.
Workers and ranks that share an epoch read shards of their own, but for the few that lie across two lanes. Asked out of
order, the batches are the same and only the reading costs more.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agri_assets.errors import TrainingError
from agri_assets.loading.ahead import read_ahead
from agri_assets.loading.augment import NONE, Augmentation, choose_orientations, orient
from agri_assets.loading.balance import balanced_draw, renumbered
from agri_assets.loading.order import PIECE, WHOLE, Batches, Index, Numbers, Share, batches_of, epoch_order
from agri_assets.loading.samples import SampleTable
from agri_assets.splits.shards import Pixels, ShardLayout, ShardReader

if TYPE_CHECKING:
    from agri_assets.loading.dropout import Dropout


def fresh(shape: tuple[int, ...]) -> Pixels:
    """New memory for the pixels of a batch."""
    return np.empty(shape, dtype=np.uint16)


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


Empty = Callable[[tuple[int, ...]], Pixels]
"""Gives memory for the pixels of a batch."""


class _Epoch(NamedTuple):
    """The plan of one epoch.

    Attributes:
        number: Of the pass.
        order: Of the samples, or of their places in `drawn`.
        drawn: Samples that were drawn, where they are.
        last_use: The last batch in which a lane needs a shard.
    """

    number: int
    order: Numbers
    drawn: Numbers | None
    last_use: Numbers

    def samples(self, start: int, end: int) -> Index:
        """A stretch of the order as numbers of samples."""
        order = self.order[start:end]
        return (order if self.drawn is None else self.drawn[order]).astype(np.int64)

    def drawings(self, start: int, end: int) -> Index:
        """How often each sample of a stretch was drawn before it: each drawing is augmented in its own way."""
        if self.drawn is None:
            return np.zeros(end - start, dtype=np.int64)
        return self.order[start:end] - np.searchsorted(self.drawn, self.drawn[self.order[start:end]])


class _Members(NamedTuple):
    """The samples of a batch: their numbers, their lanes, and the numbers that their augmentation is chosen by."""

    sample: Index
    lane: Index
    key: Index


@dataclass
class TileStream:
    """Reads the samples of a table batch by batch, for one consumer at a time.

    Attributes:
        samples: What to read.
        cubes: The cube of each tile.
        batch_size: Samples per batch; the last batch of an epoch may be smaller.
        seed: Of order and augmentation.
        shuffle: Mix shards and samples anew in every epoch; otherwise they come as they lie in the lanes.
        shuffle_shards: Shards that a batch is mixed of.
        augmentation: What is done to samples, anew in every epoch.
        sampled: Draw as many samples as there are, half of them of each label, instead of taking each once.
        epoch: The epoch that plain iteration reads.
    """

    samples: SampleTable
    cubes: Mapping[str, Path]
    batch_size: int
    seed: int = 0
    shuffle: bool = False
    shuffle_shards: int = 8
    augmentation: Augmentation = NONE
    sampled: bool = False
    epoch: int = 0
    batches: Batches = field(init=False)
    _readers: dict[str, ShardReader] = field(default_factory=dict, init=False, repr=False)
    _shard: Numbers = field(init=False, repr=False)
    _layout: ShardLayout | None = field(init=False, repr=False)
    _numbers: list[tuple[str, int]] = field(init=False, repr=False)
    _dropout: "Dropout | None" = field(default=None, init=False, repr=False)
    _plan: _Epoch | None = field(default=None, init=False, repr=False)
    _held: dict[tuple[int, int], Pixels] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self._shard, self._numbers, self._layout = self._find_shards()
        self._check()
        count = len(self.samples)
        self.batches = (
            batches_of(count, len(self._numbers), self.batch_size, self.shuffle_shards)
            if self.shuffle
            else Batches(count, self.batch_size, parts=1)
        )

    def _check(self) -> None:
        if self.sampled and len(found := np.unique(self.samples.label)) < 2:
            raise TrainingError(f"sampling by label: all samples have label {found.tolist()}; both are needed")
        drops, fill = self.augmentation.drops, self.augmentation.fill
        if drops and self._layout is not None and len(fill) != self._layout.bands:
            raise TrainingError(
                f"dropout: {len(fill)} fill values for {self._layout.bands} bands; give the mean of each band"
            )

    def __len__(self) -> int:
        """Batches in one epoch."""
        return len(self.batches)

    def batch_bytes(self, share: Share = WHOLE) -> int:
        """Bytes of the pixels of the largest batch, or of a rank's share of it."""
        if self._layout is None:
            return 0
        start, end = self.batches.share(0, share)
        return (end - start) * math.prod(self._layout.tile_shape) * np.dtype(np.uint16).itemsize

    def __iter__(self) -> Iterator[Batch]:
        """The batches of the current epoch, in order, read ahead by a thread."""
        epoch = self.epoch
        yield from read_ahead(self.read(epoch, number) for number in range(len(self)))

    def __getstate__(self) -> dict[str, object]:
        """Open stores and pixels stay behind: a worker opens its own."""
        return {**self.__dict__, "_readers": {}, "_dropout": None, "_plan": None, "_held": {}}

    def read(self, epoch: int, number: int, share: Share = WHOLE, empty: Empty = fresh) -> Batch:
        """Batch `number` of `epoch`, or a rank's share of it.

        Args:
            epoch: Number of the pass.
            number: Number of the batch.
            share: Which rank, of how many.
            empty: Gives memory for the pixels.

        Raises:
            IndexError: There is no such batch.
            CubeError: A cube cannot be opened, or a shard is damaged.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"batch {number} of {len(self)}")
        plan = self._plan_for(epoch)
        for lane, shard in [held for held in self._held if plan.last_use[held] < number]:
            del self._held[lane, shard]
        members = self._members(plan, number, share)
        label = self.samples.label[members.sample].astype(np.float32)
        return Batch(self._pixels(epoch, members, empty), label, members.sample)

    def begin(self, epoch: int, number: int, share: Share = WHOLE) -> None:
        """Plan an epoch and read the shards of one of its first batches: `read` then has them."""
        members = self._members(self._plan_for(epoch), number, share)
        for lane, shard in zip(members.lane.tolist(), self._shard[members.sample].tolist(), strict=True):
            self._tiles(lane, shard)

    def _members(self, plan: _Epoch, number: int, share: Share) -> _Members:
        """The samples of a rank's share of a batch."""
        start, end = self.batches.share(number, share)
        parts = np.searchsorted(self.batches.cuts(number), np.arange(start, end), side="right") - 1
        index = plan.samples(start, end)
        key = index + plan.drawings(start, end) * len(self.samples)
        return _Members(index, number % self.batches.groups * self.batches.parts + parts, key)

    def _pixels(self, epoch: int, members: _Members, empty: Empty) -> Pixels:
        index, turning = members.sample, self.augmentation.orientations
        turns = choose_orientations(self.seed, epoch, members.key) if turning else np.zeros(len(index), np.uint8)
        assert self._layout is not None, "a batch has samples, and these lie in a cube"
        place = self._layout.place_of(self.samples.row[index], self.samples.col[index])
        columns = (column.tolist() for column in (members.lane, self._shard[index], place, turns))
        pixels = empty((len(index), *self._layout.tile_shape))
        for target, lane, shard, number, turn in zip(pixels, *columns, strict=True):
            target[...] = orient(self._tiles(lane, shard)[number], turn)
        if self.augmentation.drops:
            self._drop(pixels, epoch, members.key)
        return pixels

    def _drop(self, pixels: Pixels, epoch: int, key: Index) -> None:
        if self._dropout is None:
            # here and not above: seconds, and memory of each worker, that most readers do without
            from agri_assets.loading.dropout import Dropout

            self._dropout = Dropout(self.augmentation)
        self._dropout.apply(pixels, self.seed, epoch, key)

    def _tiles(self, lane: int, shard: int) -> Pixels:
        """The tiles of a shard: as this lane holds them, or another one, or from the cube."""
        held = self._held.get((lane, shard))
        if held is None:
            others = (tiles for (_, number), tiles in self._held.items() if number == shard)
            held = next(others, None)
            if held is None:
                tile, number = self._numbers[shard]
                held = self._reader(tile).read(number)
            self._held[lane, shard] = held
        return held

    def _reader(self, tile: str) -> ShardReader:
        if tile not in self._readers:
            self._readers[tile] = ShardReader.open(self.cubes[tile])
        return self._readers[tile]

    def _plan_for(self, epoch: int) -> _Epoch:
        if self._plan is None or self._plan.number != epoch:
            self._plan, self._held = None, {}
            shuffle = (self.seed, epoch) if self.shuffle else None
            drawn = balanced_draw(self.samples.label, self.seed, epoch) if self.sampled else None
            shard = self._shard if drawn is None else renumbered(self._shard[drawn], len(self._numbers))
            order = epoch_order(shard, self.batches, shuffle, self.shuffle_shards)
            plan = _Epoch(epoch, order, drawn, np.zeros((self.batches.lanes, len(self._numbers)), dtype=np.int32))
            for number in range(len(self)):
                cuts = self.batches.cuts(number).tolist()
                lane = number % self.batches.groups * self.batches.parts
                for part, (start, end) in enumerate(itertools.pairwise(cuts)):
                    plan.last_use[lane + part, self._shard[plan.samples(start, end)]] = number
            self._plan = plan
        return self._plan

    def _find_shards(self) -> tuple[Numbers, list[tuple[str, int]], ShardLayout | None]:
        """The shard of each sample, numbered from 0 over all cubes, the place of each shard, and how it is laid out."""
        samples, layouts = self.samples, _Layouts(self.samples.tiles, self.cubes)
        pieces = [slice(start, start + PIECE) for start in range(0, len(samples), PIECE)]
        found = [np.unique(layouts.keys(samples, piece)) for piece in pieces]
        distinct = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *found]))
        shard = np.empty(len(samples), dtype=np.int32)
        for piece in pieces:
            shard[piece] = np.searchsorted(distinct, layouts.keys(samples, piece))
        numbers = [(samples.tiles[key >> TILE_SHIFT], key % (1 << TILE_SHIFT)) for key in distinct.tolist()]
        # the cubes of a collection have tiles and shards of one size
        return shard, numbers, next(iter(layouts.known.values()), None)


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
