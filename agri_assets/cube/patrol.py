"""The check of every run: what it wrote is read back, and of the rest a part, so that all of it is read in turn.

Reading a whole cube takes as long as its disk; a run that has nothing to do should take a second.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from agri_assets.cube.cores import worker_count
from agri_assets.cube.damage import damaged_slots
from agri_assets.cube.manifest import patrol_path
from agri_assets.cube.open import cube_info
from agri_assets.cube.schema import CubeInfo, Slot
from agri_assets.cube.verify import Report, Stored, coordinate_problems, keep_problems, verify_slots
from agri_assets.errors import StoreError
from agri_assets.objects import ObjectPath
from agri_assets.store.commit import read_json, write_json

logger = logging.getLogger(__name__)

PATROL_S = 0.5
"""How long a run reads what others wrote."""

Place = tuple[int, int]
"""A shard: number of its slot, and its number in the slot's manifest."""


@dataclass(frozen=True)
class Findings:
    """What a check found.

    Attributes:
        problems: One line per problem.
        shards: Stored shards that were read.
    """

    problems: tuple[str, ...]
    shards: int


def check_cube(path: Path, written: int, everything: bool = False) -> Findings:
    """Compare stored shards with their manifests; what is damaged is kept, so that the next build makes it again.

    Sizes of all files are compared. Objects, whose storage keeps checksums itself, are read only with `everything`.

    Args:
        path: The cube.
        written: How many of the last slots this run wrote: they are read back.
        everything: Read all of it.

    Raises:
        CubeError: There is no cube.
    """
    info = cube_info(path)
    local = not isinstance(path, ObjectPath)
    doubtful = damaged_slots(path, info)
    fresh = range(len(info.slots) - written, len(info.slots)) if local else range(0)
    must = [slot for slot in info.active if everything or slot.slot in doubtful or slot.slot in fresh]
    report = verify_slots(path, info, must)
    if local:
        _patrol(path, info, [slot for slot in info.slots if slot.active and slot not in must], report)
    coordinates = coordinate_problems(path, info) if everything or local else []
    problems = (*coordinates, *report.lines)
    if problems:
        keep_problems(path, report, bool(coordinates))
    return Findings(problems, report.shards)


def _patrol(path: Path, info: CubeInfo, slots: Sequence[Slot], report: Report) -> None:
    """Read shards for a while, from where the last patrol ended."""
    until, width = time.monotonic() + PATROL_S, 4 * worker_count()
    ahead = _in_turn(path, info, slots, report, _last_place(path))
    while batch := list(islice(ahead, width)):
        for _ in report.read(path, [stored for _, stored in batch]):
            pass
        if time.monotonic() > until:
            _keep_place(path, batch[-1][0])
            return


def _in_turn(
    path: Path, info: CubeInfo, slots: Sequence[Slot], report: Report, last: Place
) -> Iterator[tuple[Place, Stored]]:
    """All shards once, beginning behind `last`; a slot's manifest is read when its turn comes."""
    for again in (False, True):
        for slot in slots:
            if (slot.slot > last[0]) if again else (slot.slot < last[0]):
                continue
            for number, stored in enumerate(report.examine(path, info, slot)):
                if ((slot.slot, number) > last) != again:
                    yield (slot.slot, number), stored


def _last_place(path: Path) -> Place:
    if not patrol_path(path).exists():
        return (-1, -1)
    slot, number = read_json(patrol_path(path))
    return (slot, number)


def _keep_place(path: Path, place: Place) -> None:
    try:
        write_json(patrol_path(path), place)
    except StoreError as error:
        logger.info("%s: the next check begins where this one did: %s", path, error)
