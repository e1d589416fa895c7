"""The samples on test's ground whose label is open to argument: no split has them, and a map has to call them as well.

A position whose share of cropland lies between the thresholds of the labels is neither trained on nor tested on, so the
figures on test are those of the clear-cut ground. Here each is labelled by what most of it is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agri_assets.cube.open import cube_info
from agri_assets.loading.samples import SampleTable, joined, position_samples
from agri_assets.objects import local_copy
from agri_assets.scenes.grid import TileGrid
from agri_assets.splits.assign import buffer_distance
from agri_assets.splits.nearby import near
from agri_assets.splits.ownership import neighbours
from agri_assets.splits.rows import Pair, numbers, paired, texts
from agri_assets.splits.settings import Role
from agri_assets.splits.shards import positions
from agri_assets.splits.summary import read_summary
from agri_assets.store.layout import CollectionPaths

MOSTLY = 0.5
"""Share of cropland from which on an ambiguous position counts as agricultural."""

LEARNT: tuple[Role, ...] = ("train", "val")
"""Splits that a model has seen: what lies near their samples says nothing about other ground."""

_COLUMNS = ("slot", "row", "col", "cropland_fraction")


@dataclass
class _Tile:
    """What one tile holds: its ambiguous samples in test's cells, as columns, and where it was learnt from."""

    learnt: NDArray[np.bool_]
    slot: list[int] = field(default_factory=list)
    row: list[int] = field(default_factory=list)
    col: list[int] = field(default_factory=list)
    date: list[str | None] = field(default_factory=list)
    cell: list[str] = field(default_factory=list)
    label: list[bool] = field(default_factory=list)

    def add(self, pair: Pair, cells: Mapping[str, bool]) -> None:
        """Take up some rows."""
        slot, row, col = (numbers(pair.index, name, np.int32) for name in _COLUMNS[:3])
        seen = texts(pair.assigned, "split").of(dict.fromkeys(LEARNT, True), False)
        self.learnt[row[seen], col[seen]] = True
        cell, date = texts(pair.assigned, "cell"), texts(pair.assigned, "date")
        wanted = texts(pair.assigned, "reason").of({"ambiguous": True}, False) & cell.of(cells, False)
        share = numbers(pair.index, "cropland_fraction", np.float32, absent=np.nan)
        for values, column in ((self.slot, slot), (self.row, row), (self.col, col), (self.label, share >= MOSTLY)):
            values += column[wanted].tolist()
        self.date += [(*date.names, None)[code] for code in date.codes[wanted].tolist()]
        self.cell += [cell.names[code] for code in cell.codes[wanted].tolist()]


def ambiguous_samples(paths: CollectionPaths, test: SampleTable) -> SampleTable | None:
    """The ambiguous samples in the ground cells of test, labelled by what most of each is; None where there are none.

    Those nearer than one tile diagonal to a sample of train or val are left out, as they are from test.

    Args:
        paths: The collection's.
        test: The samples of test.

    Raises:
        SplitError: The assignments do not fit the tile indexes.
        CubeError: A cube or an index cannot be read.
    """
    infos = {tile: cube_info(paths.cube(tile)) for tile in sorted(read_summary(paths).cubes)}
    grids = {tile: info.grid for tile, info in infos.items() if info.grid is not None}
    if len(grids) < len(infos):
        return None
    cells = {cell: True for place in test.places for cell in place.cells}
    found = {tile: _Tile(np.zeros(positions(info), dtype=bool)) for tile, info in infos.items()}
    for tile, pairs in _by_tile(paths, tuple(infos)):
        for pair in pairs:
            found[tile].add(pair, cells)
    return _table(found, grids, next(iter(infos.values())).tile_size)


def _by_tile(paths: CollectionPaths, tiles: tuple[str, ...]) -> Iterator[tuple[str, Iterator[Pair]]]:
    with local_copy(paths.assignments) as file:
        yield from groupby(paired(file, paths, tiles, _COLUMNS), key=attrgetter("tile"))


def _table(found: Mapping[str, _Tile], grids: Mapping[str, TileGrid], tile_size: int) -> SampleTable | None:
    distance = buffer_distance(grids, tile_size)
    beside = neighbours(grids, tile_size, distance)
    learnt = {tile: (place[0], place[1]) for tile, one in found.items() for place in [np.nonzero(one.learnt)]}
    tables = []
    for tile, one in found.items():
        row, col = np.array(one.row, dtype=np.intp), np.array(one.col, dtype=np.intp)
        around = {other: learnt[other] for other in (tile, *beside[tile])}
        kept = np.flatnonzero(~near(tile, (row, col), around, grids, tile_size, distance))
        if len(kept):
            tables.append(_samples(tile, one, kept))
    return joined(tables) if tables else None


def _samples(tile: str, one: _Tile, kept: NDArray[Any]) -> SampleTable:
    slot, row, col, label = (np.array(column)[kept] for column in (one.slot, one.row, one.col, one.label))
    date, cell = ([column[number] for number in kept.tolist()] for column in (one.date, one.cell))
    return position_samples(tile, slot, row, col, date, cell, label)
