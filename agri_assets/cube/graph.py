"""One small Dask graph per scene or archive, run in threads, with a guard against graphs of absurd size."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from dask import threaded
from dask.base import compute

from agri_assets.cube.cores import worker_count
from agri_assets.errors import CubeError
from agri_assets.progress import Meter

MAX_TASKS = 10_000
"""A full-size scene makes 121 shards; a graph past this has a wrong size somewhere, and Dask would choke on it."""


def require_sane(tasks: int, what: str) -> None:
    """Refuse a graph before it is made.

    Raises:
        CubeError: It would have more than `MAX_TASKS` tasks.
    """
    if tasks > MAX_TASKS:
        raise CubeError(f"{what}: would take {tasks} tasks, more than {MAX_TASKS}; check its size and tile_size")


def run_graph(tasks: Sequence[Any], what: str) -> tuple[Any, ...]:
    """Compute delayed tasks in threads and return their results in order.

    The first error ends the run, but not before every task that had begun is over: Dask itself would leave them behind,
    reading files that the caller closes and writing into folders that it removes.
    """
    require_sane(len(tasks), what)
    with ThreadPoolExecutor(worker_count()) as pool:
        try:
            # named by its function: by the name "threads" Dask would first import all of distributed
            results: tuple[Any, ...] = compute(*tasks, scheduler=threaded.get, pool=pool)  # type: ignore[no-untyped-call]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return results


@dataclass
class SharedMeter:
    """A meter that tasks in several threads advance; it shows decoded megabytes a second."""

    meter: Meter
    decoded: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def advance(self, count: int, decoded: int) -> None:
        """Record finished units and the bytes of pixels in them."""
        with self._lock:
            self.decoded += decoded
            rate = self.decoded / 1e6 / max(time.monotonic() - self.meter.started, 1e-9)
            self.meter.advance(count, f"{rate:.0f} MB/s")
