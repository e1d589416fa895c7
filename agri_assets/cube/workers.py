"""Where the tasks of a cube run: threads of this process, processes of this machine, or a Dask scheduler's workers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from agri_assets.cube.desk import leave
from agri_assets.cube.graph import Finished, run_graph

THREADS, PROCESSES = "threads", "processes"


class Workers(Protocol):
    """Runs graphs.

    Attributes:
        apart: Whether tasks run on other hosts, which share nothing with this one but the data root.
    """

    apart: bool

    def run(self, tasks: Sequence[Any], what: str, finished: Finished) -> tuple[Any, ...]:
        """Compute delayed tasks and return their results in order; no task is left running when one fails."""
        ...

    def leave(self, job: str) -> None:
        """Wait for the last task of a job that is at work anywhere, and close what the job has open."""
        ...


class Threads:
    """Threads of this process: what is decoded once is seen by all of them."""

    apart = False

    def run(self, tasks: Sequence[Any], what: str, finished: Finished) -> tuple[Any, ...]:
        """As `Workers.run`."""
        return run_graph(tasks, what, finished)

    def leave(self, job: str) -> None:
        """As `Workers.leave`."""
        leave(job)


@contextmanager
def workers_at(where: str) -> Iterator[Workers]:
    """Workers for the length of the block.

    Args:
        where: `threads`, `processes`, or the address of a Dask scheduler.

    Raises:
        CubeError: The scheduler cannot be reached, has no workers, or they have other versions.
    """
    if where == THREADS:
        yield Threads()
        return
    from agri_assets.cube.cluster import cluster_at, local_cluster

    with local_cluster() if where == PROCESSES else cluster_at(where) as cluster:
        yield cluster
