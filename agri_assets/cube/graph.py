"""One small Dask graph per date or archive, run in threads, with a guard against graphs of absurd size."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from dask import threaded
from dask.base import compute
from dask.callbacks import Callback

from agri_assets.cube.cores import worker_count
from agri_assets.errors import CubeError
from agri_assets.progress import Meter

MAX_TASKS = 10_000
"""A full-size scene makes 121 shards; a graph past this has a wrong size somewhere, and Dask would choke on it."""

Finished = Callable[[Any], None]
"""Told the result of each task that was asked for, as it ends."""


def require_sane(tasks: int, what: str) -> None:
    """Refuse a graph before it is made.

    Raises:
        CubeError: It would have more than `MAX_TASKS` tasks.
    """
    if tasks > MAX_TASKS:
        raise CubeError(f"{what}: would take {tasks} tasks, more than {MAX_TASKS}; check its size and tile_size")


def run_graph(tasks: Sequence[Any], what: str, finished: Finished | None = None) -> tuple[Any, ...]:
    """Compute delayed tasks in threads and return their results in order.

    The first error ends the run, but not before every task that had begun is over: Dask itself would leave them behind,
    reading files that the caller closes and writing into folders that it removes.
    """
    require_sane(len(tasks), what)
    wanted = {task.key for task in tasks}

    def told(key: object, result: object, *_: object) -> None:
        if finished and key in wanted:
            finished(result)

    # one more than cores, since now and then a thread waits for the disk
    with ThreadPoolExecutor(worker_count() + 1) as pool, Callback(posttask=told):  # type: ignore[no-untyped-call]
        try:
            # named by its function: by the name "threads" Dask would first import all of distributed
            results: tuple[Any, ...] = compute(*tasks, scheduler=threaded.get, pool=pool)  # type: ignore[no-untyped-call]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return results


@dataclass
class PixelMeter:
    """A meter that also shows decoded megabytes a second."""

    meter: Meter
    decoded: int = 0

    def advance(self, count: int, decoded: int) -> None:
        """Record finished units and the bytes of pixels in them."""
        self.decoded += decoded
        rate = self.decoded / 1e6 / max(time.monotonic() - self.meter.started, 1e-9)
        self.meter.advance(count, f"{rate:.0f} MB/s")
