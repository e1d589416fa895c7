"""The samples of one split as maps: one byte per position and acquisition, in the order of the pixels."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agri_assets.cube.damage import lost_slots
from agri_assets.cube.open import cube_info
from agri_assets.errors import CubeError
from agri_assets.splits.rows import Pair, numbers, paired, texts
from agri_assets.splits.settings import Role
from agri_assets.store.layout import CollectionPaths

OTHER, AGRICULTURAL = 1, 2
"""What maps hold where a sample is in the split; 0 where none is."""


@dataclass
class TileSamples:
    """The samples of one tile that are in one split.

    Attributes:
        tile: The tile.
        shape: Its rows and columns of positions.
        slots: By slot on the cube's time axis, a map of `OTHER` and `AGRICULTURAL`, (rows, columns), uint8.
        dates: By slot, the place in `days` of each position's date, (rows, columns), int16: one day for a whole slot of
            scenes, a day for each image of an archive that knows them.
        days: Days of acquisition (ISO), None where unknown.
        cells: Names of ground cells.
        cell: Place in `cells` of each position, (rows, columns), int32; -1 where it has no sample.
    """

    tile: str
    shape: tuple[int, int]
    slots: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    dates: dict[int, NDArray[np.int16]] = field(default_factory=dict)
    days: dict[str | None, int] = field(default_factory=dict)
    cells: dict[str, int] = field(default_factory=dict)
    cell: NDArray[np.int32] = field(init=False)

    def __post_init__(self) -> None:
        self.cell = np.full(self.shape, -1, dtype=np.int32)

    def __len__(self) -> int:
        return sum(int(np.count_nonzero(labels)) for labels in self.slots.values())

    def add(self, pair: Pair, role: Role) -> None:
        """Take up those of some rows that are in the split."""
        wanted = np.flatnonzero(texts(pair.assigned, "split").of({role: True}, False))
        slot, row, col = (numbers(pair.index, name, np.int32)[wanted] for name in ("slot", "row", "col"))
        label = numbers(pair.assigned, "label", np.int8, absent=0)[wanted]
        date, cell = texts(pair.assigned, "date"), texts(pair.assigned, "cell")
        day = self._days(date.names)[date.codes[wanted]]
        for number in np.unique(slot).tolist():
            mine = slot == number
            labels = self.slots.setdefault(number, np.zeros(self.shape, dtype=np.uint8))
            labels[row[mine], col[mine]] = np.where(label[mine] == 1, AGRICULTURAL, OTHER)
            days = self.dates.setdefault(number, np.zeros(self.shape, dtype=np.int16))
            days[row[mine], col[mine]] = day[mine]
        codes = cell.codes[wanted]
        numbered = np.zeros(len(cell.names), dtype=np.int32)
        for code in np.unique(codes).tolist():
            numbered[code] = self.cells.setdefault(cell.names[code], len(self.cells))
        self.cell[row, col] = numbered[codes]

    def _days(self, names: Sequence[str | None]) -> NDArray[np.int16]:
        """The place in `days` of some names, and behind them that of no date, which has the code -1."""
        return np.array([self.days.setdefault(name, len(self.days)) for name in (*names, None)], dtype=np.int16)


def chosen(
    file: Path, paths: CollectionPaths, shapes: Mapping[str, tuple[int, int]], role: Role
) -> Iterator[TileSamples]:
    """The samples of a split, tile by tile; tiles that have none are left out.

    Args:
        file: The assignments, recorded or not yet.
        paths: The collection's, for its tile indexes.
        shapes: Rows and columns of positions of every tile of the split, in order of name.
        role: The split.

    Raises:
        SplitError: The assignments do not fit the indexes.
        CubeError: An index names slots that its cube has given up, or files of the samples' slots are gone.
    """
    rows: Iterable[tuple[str, Iterator[Pair]]] = groupby(
        paired(file, paths, tuple(shapes), ("slot", "row", "col")), key=attrgetter("tile")
    )
    for tile, pairs in rows:
        found, named = TileSamples(tile, shapes[tile]), set[int]()
        for pair in pairs:
            named.update(np.unique(numbers(pair.index, "slot", np.int32)).tolist())
            found.add(pair, role)
        _require_sound(paths, tile, named, set(found.slots))
        if len(found):
            yield found


def _require_sound(paths: CollectionPaths, tile: str, named: set[int], read: set[int]) -> None:
    """Refuse slots that do not count, and slots to read whose files are gone: Zarr would read them as zeros.

    Args:
        paths: The collection's.
        tile: The tile.
        named: All slots that its index names.
        read: Those whose pixels will be read.
    """
    info, again = cube_info(paths.cube(tile)), f"materialise tile_cube of {tile}"
    if old := sorted(named - {slot.slot for slot in info.active}):
        raise CubeError(f"{paths.tiles(tile)}: names slot {old[0]}, which its cube has given up; {again} again")
    if broken := lost_slots(paths.cube(tile), info) & read:
        dates = ", ".join(str(slot.date or slot.scene_id) for slot in info.slots if slot.slot in broken)
        raise CubeError(f"{paths.cube(tile)}: {dates} has lost files; {again}, which builds it again")
