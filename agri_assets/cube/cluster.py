"""Dask's workers in processes of their own: of this machine, or reached through a scheduler's address."""

import asyncio
import logging
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from distributed import Client, LocalCluster, wait
from distributed.scheduler import KilledWorker
from distributed.versions import VersionMismatchWarning

from agri_assets.cube.cores import worker_count
from agri_assets.cube.desk import leave_worker
from agri_assets.cube.graph import Finished, require_sane
from agri_assets.errors import CubeError, first_line

logger = logging.getLogger(__name__)

PACKAGES = ("agri-assets", "dask", "distributed", "numpy", "obstore", "pydantic", "rasterio", "zarr", "zarrs")
"""What must be of one version everywhere: tasks must arrive as sent, and pixels not depend on who makes them."""

CONNECT_S = 15.0
"""How long to wait for a scheduler, and for its first worker."""

WORKERLESS_S = 60.0
"""How long a graph may stand without a single worker before it is given up."""

POLL_S = 2.0

FETCH_S = 30.0
"""How long to wait for a result that has been computed, before asking for it again."""


@dataclass
class Cluster:
    """Workers in other processes.

    Attributes:
        client: This process's connection to their scheduler.
        name: Of the cluster, for messages.
        apart: Whether they may be on other hosts.
    """

    client: Any
    name: str
    apart: bool
    shared: bool = False

    def run(self, tasks: Sequence[Any], what: str, finished: Finished) -> tuple[Any, ...]:
        """Compute delayed tasks and return their results in order; tasks of a lost worker are done by another.

        Raises:
            CubeError: The scheduler or all workers are gone, or a task ended several of them.
        """
        require_sane(len(tasks), what)
        futures: list[Any] = self.client.compute(list(tasks))
        results: dict[Any, Any] = {}
        patience = time.monotonic() + WORKERLESS_S
        try:
            while len(results) < len(futures):
                for future, result in self._ended([future for future in futures if future not in results]):
                    results[future] = result
                    finished(result)
                if self.client.scheduler_info()["workers"]:
                    patience = time.monotonic() + WORKERLESS_S
                elif time.monotonic() > patience:
                    raise CubeError(
                        f"{self.name}: has had no worker for {WORKERLESS_S:.0f} s; start workers and try again"
                    )
        except KilledWorker as error:
            raise CubeError(
                f"{self.name}: {what}: a task ended {error.allowed_failures + 1} workers, most likely for want of "
                "memory; give workers more memory or fewer threads"
            ) from None
        except (asyncio.CancelledError, OSError) as error:
            raise CubeError(f"{self.name}: {what}: the scheduler was lost ({error}); start it and try again") from None
        finally:
            self.client.cancel(futures)
        return tuple(results[future] for future in futures)

    def leave(self, job: str) -> None:
        """Wait until no worker has a task of a job at work, and close what they have open for it."""
        try:
            self.client.run(leave_worker, job, on_error="ignore")
        except (asyncio.CancelledError, OSError, ValueError) as error:
            logger.warning("%s: workers could not be told that a date has ended: %s", self.name, error)

    def _ended(self, futures: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        """Futures that end within a moment, with their results; none is waited for any longer.

        A result whose worker dies before it could be fetched is computed again, and comes at a later time.
        """
        try:
            with self.client.as_current():
                ended = wait(futures, timeout=POLL_S, return_when="FIRST_COMPLETED")  # type: ignore[no-untyped-call]
        except TimeoutError:
            return
        for future in ended.done:
            if future.status == "error":
                self._fail(future)
            try:
                yield future, future.result(timeout=FETCH_S)
            except TimeoutError:
                logger.info("%s: a result did not come; it is fetched or computed again", self.name)

    def _fail(self, future: Any) -> NoReturn:
        """Raise a task's error; what a worker's system refused must not be taken for the loss of the scheduler."""
        try:
            future.result(timeout=FETCH_S)
        except OSError as error:
            raise CubeError(f"{self.name}: a worker failed ({type(error).__name__}: {error}); mend that host") from None
        raise CubeError(f"{self.name}: a task failed and did not say why; look into the logs of the workers")


@contextmanager
def local_cluster() -> Iterator[Cluster]:
    """A process for each processor of this machine, ended with the block."""
    options = {"n_workers": worker_count(), "threads_per_worker": 1, "dashboard_address": None, "memory_limit": 0}
    with (
        _restored_environment(),
        LocalCluster(**options) as cluster,  # type: ignore[no-untyped-call]
        Client(cluster) as client,  # type: ignore[no-untyped-call]
    ):
        yield Cluster(client, f"{len(cluster.workers)} processes", apart=False)


@contextmanager
def _restored_environment() -> Iterator[None]:
    """Take back what the block sets: Dask leaves `OMP_NUM_THREADS=1` behind, which would slow all that comes later."""
    before = set(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - before:
            del os.environ[name]


@contextmanager
def cluster_at(address: str) -> Iterator[Cluster]:
    """The workers of a running scheduler.

    Raises:
        CubeError: It cannot be reached, has no workers, or they have other versions.
    """
    with warnings.catch_warnings():
        # told by require_same_versions, in one line
        warnings.simplefilter("ignore", VersionMismatchWarning)
        try:
            client: Any = Client(address, timeout=CONNECT_S, set_as_default=False)  # type: ignore[no-untyped-call]
        except (OSError, ValueError, TypeError) as error:
            raise CubeError(
                f"{address}: no Dask scheduler answers ({first_line(error)}); start one with `dask scheduler`, "
                "or set dask: threads"
            ) from None
    with client:
        _require_workers(client, address)
        require_same_versions(client.get_versions(packages=list(PACKAGES)), address)
        yield Cluster(client, address, apart=True)


def require_same_versions(found: Mapping[str, Any], address: str) -> None:
    """Refuse workers whose packages differ from this process's.

    Args:
        found: What `Client.get_versions` tells.
        address: Of the scheduler.

    Raises:
        CubeError: A worker has another version of Python or of a package that matters.
    """
    own = _versions(found["client"])
    members = {f"worker {name}": worker for name, worker in found["workers"].items()}
    for name, member in members.items():
        theirs = _versions(member)
        differ = [
            f"{package} {theirs[package]} (here {own[package]})" for package in own if theirs[package] != own[package]
        ]
        if differ:
            raise CubeError(
                f"{address}: {name} has {', '.join(differ)}; install the same requirements.lock on every host"
            )


def _versions(member: Mapping[str, Any]) -> dict[str, str | None]:
    packages = member["packages"]
    # tasks travel between patch releases of Python, not between minor ones
    python = ".".join(str(packages["python"]).split(".")[:2])
    return {"python": python, **{name: packages.get(name) for name in PACKAGES}}


def _require_workers(client: Any, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=CONNECT_S)
    except TimeoutError:
        raise CubeError(f"{address}: has no workers; start some with `dask worker {address}`") from None
