"""Receipts: what an output was made from and what came out; the ground of 'nothing to do'."""

import logging
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agri_assets.errors import StoreError
from agri_assets.objects import ObjectPath, locate
from agri_assets.store.commit import read_json, write_json

logger = logging.getLogger(__name__)

Scalar = int | float | str | bool | None


class Table(BaseModel):
    """A small table for people: every row has the same keys."""

    model_config = ConfigDict(frozen=True)

    rows: tuple[dict[str, Scalar], ...]


class Outcome(BaseModel):
    """What a finished stage tells: stored as its receipt, shown as the asset's metadata.

    Attributes:
        path: The output.
        fingerprint: Of the inputs.
        data_version: Digest of the content, as downstream stages fingerprint it.
        summary: One line for a log.
        metadata: Figures and names.
        tables: Small tables by title.
        pictures: Small PNG files by title.
        warnings: What people must be told beside the figures.
        outputs: Every file or folder that must exist for the output to be whole; `path` if empty.
        settled: False if something failed that may pass by itself (a host that did not answer): it is never reused.
        reused: Whether the stage found its work already done. Not stored.
    """

    model_config = ConfigDict(frozen=True)

    path: Path
    fingerprint: str
    data_version: str
    summary: str
    metadata: dict[str, Scalar] = Field(default_factory=dict)
    tables: dict[str, Table] = Field(default_factory=dict)
    pictures: dict[str, Path] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    outputs: tuple[Path, ...] = ()
    settled: bool = True
    reused: bool = Field(default=False, exclude=True)

    @property
    def whole(self) -> bool:
        """Whether every output still exists."""
        return all(path.exists() for path in self.outputs or (self.path,))


def find_outcome(receipt: Path, fingerprint: str) -> Outcome | None:
    """The recorded outcome if it is complete for `fingerprint`; None where there is work to do."""
    if not receipt.exists():
        return None
    outcome = read_outcome(receipt)
    if outcome.fingerprint != fingerprint or not outcome.whole or not outcome.settled:
        return None
    return outcome.model_copy(update={"reused": True})


def find_done(receipt: Path, fingerprint: str, what: str) -> Outcome | None:
    """As `find_outcome`, and says so in the log."""
    if done := find_outcome(receipt, fingerprint):
        logger.info("%s: already up to date, nothing done; when it was made: %s", what, done.summary)
    return done


def read_outcome(receipt: Path) -> Outcome:
    """The outcome a receipt records.

    Raises:
        StoreError: There is none, or it is not a receipt.
    """
    try:
        stored = Outcome.model_validate(read_json(receipt))
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        raise StoreError(f"{receipt}: not a receipt ({problem}); delete it and materialise again") from None
    return _with_paths(stored, lambda path: _found(path, receipt.parent))


def write_outcome(receipt: Path, outcome: Outcome) -> None:
    """Write a receipt; its paths count from its folder, so that a data root can be moved as a whole."""
    relative = _with_paths(outcome, lambda path: _relative(path, receipt.parent))
    write_json(receipt, relative.model_dump(mode="json"))


def _relative(path: Path, base: Path) -> Path:
    """The path as counted from a folder, where both are in the same place."""
    if isinstance(path, ObjectPath) != isinstance(base, ObjectPath):
        return path
    return Path(os.path.relpath(str(path), str(base)))


def _found(path: Path, base: Path) -> Path:
    """The path that stands in a receipt in the folder `base`."""
    named = locate(path)
    return named if named.is_absolute() else locate(os.path.normpath(str(base / named)))


def _with_paths(outcome: Outcome, change: Callable[[Path], Path]) -> Outcome:
    pictures = {title: change(path) for title, path in outcome.pictures.items()}
    outputs = tuple(change(path) for path in outcome.outputs)
    return outcome.model_copy(update={"path": change(outcome.path), "pictures": pictures, "outputs": outputs})


def run_stage(
    receipt: Path,
    fingerprint: str,
    work: Callable[[], Outcome],
    what: str,
    again: bool = False,
    lock: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Outcome:
    """Do `work` unless its receipt says that it is done for this fingerprint; write the receipt last.

    Args:
        receipt: Where the receipt stands.
        fingerprint: Of all inputs.
        work: Makes the output and returns its outcome.
        what: Name of the stage, for the log.
        again: Do it even so.
        lock: Held while it is done and its receipt is written.
    """
    if not again and (done := find_done(receipt, fingerprint, what)):
        return done
    with lock():
        outcome = work()
        write_outcome(receipt, outcome)
    for warning in outcome.warnings:
        logger.warning("%s: %s", what, warning)
    logger.info("%s: %s", what, outcome.summary)
    return outcome
