"""What the proof checks of a tile's rows, each by itself and all of one cell or position together."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from agri_assets.errors import SplitError
from agri_assets.scenes.grid import tile_id
from agri_assets.splits.apart import Ground, Mask
from agri_assets.splits.ground import first_of, outlines
from agri_assets.splits.rows import Codes, Pair, name_of, numbers, texts
from agri_assets.splits.settings import ROLES
from agri_assets.splits.tally import Tally

ROLE_CODES: dict[str, int] = {role: code for code, role in enumerate(ROLES, start=1)}


class TileReader:
    """Reads the rows of one tile, refuses wrong ones, counts them, and keeps the ground that is used."""

    COLUMNS = ("row", "col", "label", "cell", "owner", "geometry")
    """What it needs of the index, besides the names of samples."""

    def __init__(self, tile: str, shape: tuple[int, int], tally: Tally) -> None:
        """Read nothing yet.

        Args:
            tile: The tile.
            shape: Its rows and columns of positions.
            tally: Of the assignments of all tiles.
        """
        self.tile, self.tally = tile, tally
        self.role = np.zeros(shape, dtype=np.uint8)
        self.known = np.zeros(shape, dtype=bool)
        self.seen: dict[str | None, Mask] = {}
        self.parts: list[Ground] = [Ground.empty(tile)]

    def read(self, pairs: Iterable[Pair]) -> Ground:
        """All rows of the tile.

        Returns:
            The positions that are used.

        Raises:
            SplitError: A sample is listed twice, has another label or cell than in the index, or is assigned without a
                label; or a cell or a position is in two splits.
        """
        for pair in pairs:
            row, col = (numbers(pair.index, name, np.int32) for name in ("row", "col"))
            self._prove_names(pair, row, col)
            role = self._roles(pair)
            _prove_labels(pair, role > 0)
            self._prove_together(pair, row, col, role)
            self.tally.add(pair.assigned)
            self._keep(pair, row, col, role)
        return Ground.together(self.parts)

    def _prove_names(self, pair: Pair, row: Codes, col: Codes) -> None:
        """Each position has its own name, and is listed once per date."""
        place = row * self.role.shape[1] + col
        name, date = texts(pair.index, "tile_id"), texts(pair.index, "date")
        again = f"delete the index tiles/{self.tile}.parquet and materialise tile_cube of {self.tile} again"
        _refuse(pair, name.codes < 0, "without a name in the tile index", again)
        codes, first = np.unique(name.codes, return_index=True)
        named = np.full(len(name.names), -1)
        named[codes] = [
            place[k] if name.names[code] == tile_id(self.tile, int(row[k]), int(col[k])) else -1
            for code, k in zip(codes.tolist(), first.tolist(), strict=True)
        ]
        _refuse(pair, named[name.codes] != place, "in the tile index, but not by the name of its position", again)
        for code in np.unique(date.codes).tolist():
            day, rows = date.names[code] if code >= 0 else None, np.flatnonzero(date.codes == code)
            seen = self.seen.setdefault(day, np.zeros(self.role.size, dtype=bool))
            twice = seen[place[rows]] | (np.bincount(place[rows])[place[rows]] > 1)
            _refuse(pair, rows[twice], "listed more than once in the tile indexes", again)
            seen[place[rows]] = True

    def _roles(self, pair: Pair) -> NDArray[np.uint8]:
        split = texts(pair.assigned, "split")
        _refuse(pair, (split.codes >= 0) & ~split.of(dict.fromkeys(ROLES, True), False), "unknown split")
        return split.of(ROLE_CODES, 0).astype(np.uint8)

    def _prove_together(self, pair: Pair, row: Codes, col: Codes, role: NDArray[np.uint8]) -> None:
        """No cell and no position is in two splits."""
        rows = np.flatnonzero(role)
        cell = texts(pair.assigned, "cell")
        # the highest bit of a cell's roles is the code of the only one, where it has been in no more than one so far
        known = [self.tally.cells.get(name, 0).bit_length() for name in cell.names]
        _refuse(
            pair,
            rows[_torn(np.array(known, np.uint8), cell.codes[rows], role[rows])],
            "its cell is in more than one split",
        )
        place = (row * self.role.shape[1] + col)[rows]
        _refuse(pair, rows[_torn(self.role.ravel(), place, role[rows])], "its tile_id is in more than one split")

    def _keep(self, pair: Pair, row: Codes, col: Codes, role: NDArray[np.uint8]) -> None:
        rows = first_of(self.known, row, col, role > 0)
        owner = texts(pair.index, "owner")
        nominal = np.array([*owner.names, None], dtype=object)[owner.codes[rows]]
        split = np.array(["", *ROLES], dtype=object)[role[rows]]
        self.parts.append(Ground(self.tile, row[rows], col[rows], nominal, split, outlines(pair.index, rows)))


def _torn(known: NDArray[np.uint8], group: NDArray[np.integer], role: NDArray[np.uint8]) -> Mask:
    """Which rows have another role than their group had, or has; `known`, by group, learns theirs in place."""
    before = known[group]
    torn = (before > 0) & (before != role)
    known[group] = role
    return np.asarray(torn | (known[group] != role))


def _prove_labels(pair: Pair, assigned: Mask) -> None:
    label, indexed = (numbers(block, "label", np.int8, absent=-1) for block in (pair.assigned, pair.index))
    _refuse(pair, assigned & (label < 0), "assigned to a split without a label")
    _refuse(pair, label != indexed, "label differs from the tile index")
    cell = texts(pair.assigned, "cell")
    codes = {name: code for code, name in enumerate(cell.names)}
    _refuse(pair, texts(pair.index, "cell").of(codes, -2) != cell.codes, "cell differs from the tile index")


def _refuse(pair: Pair, wrong: Mask | NDArray[np.intp], problem: str, remedy: str = "materialise splits again") -> None:
    """Refuse if any row is wrong, naming the first."""
    rows = np.flatnonzero(wrong) if wrong.dtype == bool else wrong
    if len(rows):
        more = f" (and {len(rows) - 1} more)" if len(rows) > 1 else ""
        raise SplitError(f"sample {name_of(pair.assigned, int(rows[0]))}: {problem}{more}; {remedy}")
