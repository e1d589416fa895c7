"""Progress of long work: a bar where a person watches a terminal, a log line at most every ten seconds elsewhere."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

logger = logging.getLogger(__name__)
T = TypeVar("T")

LOG_INTERVAL_S = 10.0
"""Least time between two progress lines in a log."""


@dataclass
class Meter:
    """Counts finished units of one long job and reports them.

    Attributes:
        label: What is being done, as a person would say it.
        total: How many units there are.
        unit: Name of a unit, plural.
        done: How many are done.
        before: Of these, done by an earlier process: they say nothing about the pace.
    """

    label: str
    total: int
    unit: str = "steps"
    done: int = 0
    before: int = 0
    started: float = field(default_factory=time.monotonic)
    _last_line: float = field(default_factory=time.monotonic)
    _bar: Progress | None = None

    def advance(self, count: int = 1, note: str = "") -> None:
        """Record `count` more finished units; `note` is shown behind the figures."""
        self.done += count
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self.done, note=note)
        elif time.monotonic() - self._last_line >= LOG_INTERVAL_S:
            self._last_line = time.monotonic()
            logger.info("%s", self.line(note))

    def line(self, note: str = "") -> str:
        """The progress as one line of text, with the time left."""
        spent = time.monotonic() - self.started
        fresh = self.done - self.before
        left = spent / fresh * (self.total - self.done) if fresh else float("nan")
        text = f"{self.label}: {self.done}/{self.total} {self.unit}, about {left:.0f} s left"
        return f"{text}; {note}" if note else text


@contextmanager
def meter(label: str, total: int, unit: str = "steps") -> Iterator[Meter]:
    """A `Meter` for the length of a `with` block; a bar on a terminal, log lines anywhere else."""
    if not sys.stderr.isatty():
        yield Meter(label, total, unit)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        bar.add_task(label, total=total, note="")
        yield Meter(label, total, unit, _bar=bar)


def track(items: Iterable[T], label: str, total: int, unit: str = "steps") -> Iterator[T]:
    """Yield `items` while reporting progress."""
    with meter(label, total, unit) as counter:
        for item in items:
            yield item
            counter.advance()
