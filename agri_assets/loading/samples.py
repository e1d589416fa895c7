"""The samples of one split: where each lies in which cube, and what it is labelled.

Ten bytes a sample: what many have in common (names of tiles and classes, dates of slots, cells of positions) is kept
once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agri_assets.cube.open import cube_info
from agri_assets.errors import SplitError
from agri_assets.objects import local_copy
from agri_assets.scenes.grid import tile_id
from agri_assets.splits.chosen import NAMELESS, Kind, Kinds, TileSamples, chosen
from agri_assets.splits.settings import Role
from agri_assets.splits.shards import positions
from agri_assets.splits.summary import materialise, read_summary
from agri_assets.store.layout import CollectionPaths

Small = NDArray[np.signedinteger[Any]]
"""int16, or int32 where that is too small: make it larger before multiplying."""


@dataclass(frozen=True, eq=False)
class TilePlaces:
    """What the samples of one tile have in common.

    Attributes:
        tile: The tile.
        dates: By slot, the place in `days` of each position's date, (rows, columns), int16.
        days: Days of acquisition (ISO), None where unknown.
        cells: Names of ground cells (archives: content hashes).
        cell: Place in `cells` of each position, (rows, columns), int32.
    """

    tile: str
    dates: Mapping[int, NDArray[np.int16]]
    days: tuple[str | None, ...]
    cells: tuple[str, ...]
    cell: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class SampleTable:
    """Samples as parallel arrays of one length; `load_samples` orders them by tile, slot, row and column.

    Attributes:
        places: The tiles.
        tile: Index into `places` and `tiles`.
        slot: Index on the cube's time axis.
        row: Row of the position.
        col: Column of the position.
        label: 1 agricultural, 0 not; uint8.
        kind: Index into `kinds`; uint8.
        kinds: The classes that labels name, each with its label.
    """

    places: tuple[TilePlaces, ...]
    tile: Small
    slot: Small
    row: Small
    col: Small
    label: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    kinds: tuple[Kind, ...]

    def __len__(self) -> int:
        return len(self.tile)

    @property
    def tiles(self) -> tuple[str, ...]:
        """Names of the tiles."""
        return tuple(place.tile for place in self.places)

    @property
    def tile_id(self) -> NDArray[np.object_]:
        """Name of each sample's position; made anew each time, as are `date` and `cell`."""
        names = (self.tiles[code] for code in self.tile.tolist())
        rows = zip(names, self.row.tolist(), self.col.tolist(), strict=True)
        return _objects([tile_id(*row) for row in rows])

    @property
    def date(self) -> NDArray[np.object_]:
        """Day of acquisition of each sample (ISO), None where it is unknown."""
        found = np.full(len(self), None, dtype=object)
        for code, place in enumerate(self.places):
            names, own = _objects(place.days), self.tile == code
            for slot, days in place.dates.items():
                mine = np.flatnonzero(own & (self.slot == slot))
                found[mine] = names[days[self.row[mine], self.col[mine]]]
        return found

    @property
    def class_name(self) -> NDArray[np.object_]:
        """The class of each sample, None where it has no name."""
        return _objects([kind.name for kind in self.kinds])[self.kind]

    @property
    def cell(self) -> NDArray[np.object_]:
        """Ground cell of each sample (archives: content hash)."""
        found = np.full(len(self), None, dtype=object)
        for code, place in enumerate(self.places):
            mine = np.flatnonzero(self.tile == code)
            found[mine] = _objects(place.cells)[place.cell[self.row[mine], self.col[mine]]]
        return found

    def take(self, which: NDArray[Any]) -> "SampleTable":
        """The samples of a mask, or of indexes in their order."""
        tile, slot, row, col = (column[which] for column in (self.tile, self.slot, self.row, self.col))
        return SampleTable(self.places, tile, slot, row, col, self.label[which], self.kind[which], self.kinds)


def load_samples(paths: CollectionPaths, role: Role) -> SampleTable:
    """The samples of one split, as the recorded assignments name them. The proof is not checked (see `check_splits`).

    Files are read in blocks, so that loading holds little more than the table itself.

    Raises:
        CubeError: Pixels of these samples are gone, or a tile index names slots that its cube has given up.
        SplitError: There are no assignments, none for `role`, or they do not fit the tile indexes.
    """
    tiles = sorted(read_summary(paths).cubes)
    again = materialise(paths.collection)
    if not paths.assignments.exists():
        raise SplitError(f"{paths.assignments}: no such file; {again}")
    shapes = {tile: positions(cube_info(paths.cube(tile))) for tile in tiles}
    places: list[TilePlaces] = []
    parts: list[tuple[NDArray[Any], ...]] = []
    kinds: tuple[Kind, ...] = ()
    with local_copy(paths.assignments) as file:
        for found in chosen(file, paths, shapes, role):
            parts.extend(_columns(found, len(places)))
            places.append(TilePlaces(found.tile, found.dates, tuple(found.days), tuple(found.cells), found.cell))
            kinds = tuple(found.kinds)
    if not parts:
        raise SplitError(f"{paths.assignments}: split {role} is empty; {again}")
    tile, slot, row, col, kind = (np.concatenate(column) for column in zip(*parts, strict=True))
    label = np.array([kind.agricultural for kind in kinds], dtype=np.uint8)[kind]
    return SampleTable(tuple(places), tile, slot, row, col, label, kind, kinds)


def position_samples(
    tile: str,
    slot: NDArray[Any],
    row: NDArray[Any],
    col: NDArray[Any],
    dates: Sequence[str | None],
    cells: Sequence[str],
    labels: NDArray[Any] | None = None,
) -> SampleTable:
    """Samples of one tile, at most one per slot and position.

    Args:
        tile: The tile.
        slot: Index on the cube's time axis of each sample.
        row: Row of its position.
        col: Column of its position.
        dates: Its day of acquisition (ISO).
        cells: Its ground cell.
        labels: Whether it is agricultural; without them all labels are 0 and mean nothing.
    """
    cell = np.full((int(row.max(initial=-1)) + 1, int(col.max(initial=-1)) + 1), -1, dtype=np.int32)
    names = {name: code for code, name in enumerate(dict.fromkeys(cells))}
    cell[row, col] = [names[name] for name in cells]
    days = {day: code for code, day in enumerate(dict.fromkeys(dates))}
    codes = np.array([days[day] for day in dates], dtype=np.int16)
    day = {number: np.zeros(cell.shape, dtype=np.int16) for number in np.unique(slot).tolist()}
    for number, codes_of in day.items():
        mine = np.flatnonzero(slot == number)
        codes_of[row[mine], col[mine]] = codes[mine]
    places = TilePlaces(tile, day, tuple(days), tuple(names), cell)
    # NAMELESS has a kind for each label, in order
    label = np.zeros(len(slot), np.uint8) if labels is None else labels.astype(np.uint8)
    columns = (np.zeros(len(slot), np.int16), _small(slot), _small(row), _small(col))
    return SampleTable((places,), *columns, label, label, NAMELESS)


def joined(tables: Sequence[SampleTable]) -> SampleTable:
    """Tables as one, in their order."""
    places = tuple(place for table in tables for place in table.places)
    first = np.cumsum([0, *(len(table.places) for table in tables)]).tolist()
    tile = np.concatenate([table.tile + start for table, start in zip(tables, first, strict=False)])
    kinds = Kinds()
    # Kinds counts from 1, tables from 0
    codes = [np.array([kinds.code(kind) - 1 for kind in table.kinds], dtype=np.uint8) for table in tables]
    kind = np.concatenate([numbers[table.kind] for numbers, table in zip(codes, tables, strict=True)])
    slot, row, col, label = (
        np.concatenate([getattr(table, name) for table in tables]) for name in ("slot", "row", "col", "label")
    )
    return SampleTable(places, _small(tile), slot, row, col, label, kind, tuple(kinds))


def _columns(found: TileSamples, code: int) -> list[tuple[NDArray[Any], ...]]:
    """The columns of a tile's samples, slot by slot."""
    columns = []
    for slot, kinds in sorted(found.slots.items()):
        row, col = np.nonzero(kinds)
        constant = (_small(np.full(len(row), value)) for value in (code, slot))
        columns.append((*constant, _small(row), _small(col), kinds[row, col] - 1))
    return columns


def _small(values: NDArray[Any]) -> Small:
    fits = int(values.max(initial=0)) <= np.iinfo(np.int16).max
    return values.astype(np.int16 if fits else np.int32)


def _objects(values: Sequence[str | None]) -> NDArray[np.object_]:
    """Texts as an array, whatever there are."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
