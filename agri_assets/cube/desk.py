"""What a process keeps open while it works on one date, shared by its tasks: handles of rasters, writers of shards."""

import asyncio
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agri_assets.cube.raster import Rasters
from agri_assets.cube.schema import BANDS_ARRAY, CLASSES_ARRAY, CubeInfo
from agri_assets.cube.shards import ShardWriter
from agri_assets.cube.zarr_metadata import root_document
from agri_assets.errors import AgriAssetsError

POLL_S = 0.02
"""How often it is looked whether the last task of a job has ended."""


@dataclass
class Desk:
    """The open things of one job in one process.

    Attributes:
        rasters: Its sources.
        pixels: Writes reflectance.
        classes: Writes the scene classification.
        users: Tasks that are at it.
    """

    rasters: Rasters
    pixels: ShardWriter
    classes: ShardWriter
    users: int = 0
    _scratch: threading.local = field(default_factory=threading.local)

    def scratch(self, shape: tuple[int, ...]) -> npt.NDArray[np.uint16]:
        """Memory for one shard's pixels, with whatever was in it; the same at this thread's next call.

        Fresh memory for every shard would have to be cleared by the system first, all of the cube once over.
        """
        wanted = math.prod(shape)
        kept: npt.NDArray[np.uint16] | None = getattr(self._scratch, "pixels", None)
        if kept is None or kept.size < wanted:
            kept = self._scratch.pixels = np.empty(wanted, dtype=np.uint16)
        return kept[:wanted].reshape(shape)


_desks: dict[str, Desk] = {}
_lock = threading.Lock()


@contextmanager
def desk_of(job: str, root: Path, info: CubeInfo, slot: int) -> Iterator[Desk]:
    """The desk of a job in this process; opened by the first task that comes to it.

    Args:
        job: Name of the job, unique among all processes.
        root: The cube.
        info: The cube with the job's slot already counted in.
        slot: Index on the time axis.
    """
    with _lock:
        if job not in _desks:
            # what a client that was killed left behind; another client's idle desk is opened again where it is missed
            for idle in [name for name, desk in _desks.items() if not desk.users]:
                _desks.pop(idle).rasters.close()
            document = root_document(info)
            pixels, classes = (
                ShardWriter.open(root, name, slot, info, document) for name in (BANDS_ARRAY, CLASSES_ARRAY)
            )
            _desks[job] = Desk(Rasters(), pixels, classes)
        desk = _desks[job]
        desk.users += 1
    try:
        yield desk
    except AgriAssetsError as error:
        # Dask sends an error with all that led to it, and GDAL's own errors cannot be sent
        error.__context__ = error.__cause__ = None
        raise
    finally:
        with _lock:
            desk.users -= 1


def leave(job: str) -> None:
    """Close a job's desk in this process, once the last task has left it."""
    while not _closed(job):
        time.sleep(POLL_S)


async def leave_worker(job: str) -> None:
    """The same in a worker of Dask, whose event loop must go on meanwhile."""
    while not _closed(job):
        await asyncio.sleep(POLL_S)


def _closed(job: str) -> bool:
    with _lock:
        desk = _desks.get(job)
        if desk is not None and desk.users:
            return False
        if desk is not None:
            _desks.pop(job).rasters.close()
        return True
