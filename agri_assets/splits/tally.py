"""What assignments amount to: counts and digests, taken block by block as they are read."""

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from agri_assets.errors import SplitError
from agri_assets.objects import local_copy
from agri_assets.splits.rows import ASSIGNED, Codes, as_strings, assigned_blocks, numbers, texts
from agri_assets.splits.settings import ROLES, Role
from agri_assets.splits.summary import RoleCount, materialise
from agri_assets.store.layout import CollectionPaths

MONTH = 7
"""Letters of an ISO date that name its month."""

Mask = NDArray[np.bool_]


@dataclass
class Group:
    """The samples of one tile or month that are in a split.

    Attributes:
        n: How many.
        positives: How many of them are agricultural.
        roles: A bit for each role that has some.
    """

    n: int = 0
    positives: int = 0
    roles: int = 0


@dataclass
class Tally:
    """Counts and digests of the assignments read so far.

    Attributes:
        samples: All samples, assigned or not.
        counts: Samples of each role, and how many of them are agricultural.
        dropped: Samples in no split, by reason.
        cells: A bit for each role that has samples in a cell (lists may tear cells apart); this alone grows with the
            ground covered.
        ambiguous: Ambiguous samples by cell.
        tiles: What each tile gives to the splits.
        months: The same for each month of acquisition, where dates are known.
    """

    samples: int = 0
    counts: Counter[Role] = field(default_factory=Counter)
    positives: Counter[Role] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    cells: dict[str, int] = field(default_factory=dict)
    ambiguous: Counter[str] = field(default_factory=Counter)
    tiles: defaultdict[str, Group] = field(default_factory=lambda: defaultdict(Group))
    months: defaultdict[str, Group] = field(default_factory=lambda: defaultdict(Group))
    _rows: Any = field(default_factory=hashlib.sha256, repr=False)
    _train: Any = field(default_factory=hashlib.sha256, repr=False)

    def add(self, assigned: pa.RecordBatch) -> None:
        """Count in some rows of the assignments."""
        split, reason, cell = (texts(assigned, name) for name in ("split", "reason", "cell"))
        positive = numbers(assigned, "label", np.int8, absent=-1) == 1
        self.samples += assigned.num_rows
        self.dropped.update(_counted(reason.names, reason.codes))
        self.ambiguous.update(_counted(cell.names, cell.codes[reason.of({"ambiguous": True}, False)]))
        for name in cell.names:
            self.cells.setdefault(name, 0)
        for bit, role in enumerate(ROLES):
            own = split.of({role: True}, False)
            self.counts[role] += int(own.sum())
            self.positives[role] += int((own & positive).sum())
            for code in np.unique(cell.codes[own & (cell.codes >= 0)]).tolist():
                self.cells[cell.names[code]] |= 1 << bit
            self._group(assigned, own, positive, 1 << bit)
        self._rows.update(_lines(assigned, ASSIGNED))
        train = assigned.filter(pa.array(split.of({"train": True}, False)))
        self._train.update(_lines(train, ("tile", "tile_id", "date")))

    def _group(self, assigned: pa.RecordBatch, own: Mask, positive: Mask, role: int) -> None:
        """Count the samples of one role by tile and by month."""
        for column, groups, letters in (("tile", self.tiles, None), ("date", self.months, MONTH)):
            named = texts(assigned, column)
            counts, positives = (_counted(named.names, named.codes[which]) for which in (own, own & positive))
            for name, count in counts.items():
                group = groups[name[:letters]]
                group.n += count
                group.positives += positives.get(name, 0)
                group.roles |= role

    @property
    def roles(self) -> dict[Role, RoleCount]:
        """What each split holds."""
        held = np.fromiter(self.cells.values(), dtype=np.uint8, count=len(self.cells))
        cells = {role: int(np.count_nonzero(held & (1 << bit))) for bit, role in enumerate(ROLES)}
        return {
            role: RoleCount(n=self.counts[role], positives=self.positives[role], cells=cells[role]) for role in ROLES
        }

    @property
    def ambiguous_by_role(self) -> dict[Role, int]:
        """How many ambiguous samples lie in the cells of each split; none of them is in it."""
        found: Counter[Role] = Counter()
        for cell, count in self.ambiguous.items():
            found.update({role: count for bit, role in enumerate(ROLES) if self.cells[cell] & (1 << bit)})
        return {role: found[role] for role in ROLES if role in found}

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of all values, row after row; the file's bytes do not matter."""
        return str(self._rows.hexdigest())

    @property
    def train_digest(self) -> str:
        """SHA-256 (hex) of which samples are in train: their tile, position and date, row after row."""
        return str(self._train.hexdigest())


def digest_of(paths: CollectionPaths) -> str:
    """The digest of the recorded assignments.

    Raises:
        SplitError: They are missing or cannot be read.
    """
    if not paths.assignments.exists():
        raise SplitError(f"{paths.assignments}: no such file; {materialise(paths.collection)}")
    tally = Tally()
    with local_copy(paths.assignments) as file:
        for block in assigned_blocks(file, paths):
            tally.add(block)
    return tally.digest


def _counted(names: tuple[Any, ...], codes: Codes) -> dict[Any, int]:
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
    return {name: int(n) for name, n in zip(names, counts, strict=True) if n}


def _lines(block: pa.RecordBatch, columns: tuple[str, ...]) -> bytes:
    """The rows as lines of text, whatever blocks they come in."""
    if not block.num_rows:
        return b""
    parts = [as_strings(block.column(name)) for name in columns]
    lines = pc.binary_join_element_wise(*parts, "|", null_handling="replace", null_replacement="")
    return ("\n".join(lines.to_pylist()) + "\n").encode()
