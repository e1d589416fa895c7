"""The samples of one split as maps of their kinds: a byte per position and acquisition, in the order of the pixels."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agri_assets.cube.damage import lost_slots
from agri_assets.cube.open import cube_info
from agri_assets.errors import CubeError
from agri_assets.splits.rows import Pair, numbers, paired, texts
from agri_assets.splits.settings import Role
from agri_assets.store.layout import CollectionPaths

MOST_KINDS = 255
"""What a byte can tell apart, besides 0 where no sample is."""


class Kind(NamedTuple):
    """What samples may have in common: the name of a class (None where it has none) and the label."""

    name: str | None
    agricultural: bool


NAMELESS = (Kind(None, False), Kind(None, True))
"""The kinds of samples whose classes have no names, or more names than a byte can tell apart."""


class Kinds:
    """Numbers of kinds, from 1, as they come."""

    def __init__(self) -> None:
        self._codes = {kind: code for code, kind in enumerate(NAMELESS, start=1)}

    def code(self, kind: Kind) -> int:
        """The number of a kind."""
        if kind not in self._codes and len(self._codes) == MOST_KINDS:
            kind = NAMELESS[kind.agricultural]
        return self._codes.setdefault(kind, len(self._codes) + 1)

    def __iter__(self) -> Iterator[Kind]:
        """All kinds, in order of their numbers."""
        return iter(self._codes)


@dataclass
class TileSamples:
    """The samples of one tile that are in one split.

    Attributes:
        tile: The tile.
        shape: Its rows and columns of positions.
        kinds: The numbers of kinds, of all tiles.
        slots: By slot on the cube's time axis, a map of these numbers, 0 where no sample is, (rows, columns), uint8.
        dates: By slot, the place in `days` of each position's date, (rows, columns), int16: one day for a whole slot of
            scenes, a day for each image of an archive that knows them.
        days: Days of acquisition (ISO), None where unknown.
        cells: Names of ground cells.
        cell: Place in `cells` of each position, (rows, columns), int32; -1 where it has no sample.
    """

    tile: str
    shape: tuple[int, int]
    kinds: Kinds = field(default_factory=Kinds)
    slots: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    dates: dict[int, NDArray[np.int16]] = field(default_factory=dict)
    days: dict[str | None, int] = field(default_factory=dict)
    cells: dict[str, int] = field(default_factory=dict)
    cell: NDArray[np.int32] = field(init=False)

    def __post_init__(self) -> None:
        self.cell = np.full(self.shape, -1, dtype=np.int32)

    def __len__(self) -> int:
        return sum(int(np.count_nonzero(kinds)) for kinds in self.slots.values())

    def add(self, pair: Pair, role: Role) -> None:
        """Take up those of some rows that are in the split."""
        wanted = np.flatnonzero(texts(pair.assigned, "split").of({role: True}, False))
        slot, row, col = (numbers(pair.index, name, np.int32)[wanted] for name in ("slot", "row", "col"))
        kind = self._kinds(pair, wanted)
        date, cell = texts(pair.assigned, "date"), texts(pair.assigned, "cell")
        day = self._days(date.names)[date.codes[wanted]]
        for number in np.unique(slot).tolist():
            mine = slot == number
            kinds = self.slots.setdefault(number, np.zeros(self.shape, dtype=np.uint8))
            kinds[row[mine], col[mine]] = kind[mine]
            days = self.dates.setdefault(number, np.zeros(self.shape, dtype=np.int16))
            days[row[mine], col[mine]] = day[mine]
        codes = cell.codes[wanted]
        numbered = np.zeros(len(cell.names), dtype=np.int32)
        for code in np.unique(codes).tolist():
            numbered[code] = self.cells.setdefault(cell.names[code], len(self.cells))
        self.cell[row, col] = numbered[codes]

    def _kinds(self, pair: Pair, wanted: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The numbers of the kinds of some rows."""
        classes = texts(pair.index, "class_name")
        label = numbers(pair.assigned, "label", np.int8, absent=0)[wanted] == 1
        # the code of no name, -1, becomes 0
        both = (classes.codes[wanted] + 1) * 2 + label
        names, codes = (None, *classes.names), np.zeros(2 * len(classes.names) + 2, dtype=np.uint8)
        for number in np.unique(both).tolist():
            codes[number] = self.kinds.code(Kind(names[number // 2], bool(number % 2)))
        return np.asarray(codes[both])

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
        paired(file, paths, tuple(shapes), ("slot", "row", "col", "class_name")), key=attrgetter("tile")
    )
    kinds = Kinds()
    for tile, pairs in rows:
        found, named = TileSamples(tile, shapes[tile], kinds), set[int]()
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
