"""Work ends with the process that started it, so that a retry never makes two writers."""

import logging
import os
import threading
from collections.abc import Mapping

import psutil

from agri_assets.errors import ConfigError

logger = logging.getLogger(__name__)

PARENT_VARIABLE = "AGRI_PARENT_PID"
"""Names the process whose end is also ours; unset for a training started by hand."""

INTERVAL_S = 1.0


def watch_parent(environment: Mapping[str, str] = os.environ) -> None:
    """End this process, at once and without clean-up, as soon as the one named by `AGRI_PARENT_PID` is gone.

    What training has written stays whole, since every file appears by a rename; the system frees its locks.

    Raises:
        ConfigError: The variable is no process id.
    """
    named = environment.get(PARENT_VARIABLE)
    if not named:
        return
    if not named.isdecimal():
        raise ConfigError(f"{PARENT_VARIABLE}={named}: expected a process id; unset it for a training by hand")
    end_with(int(named))


def end_with(pid: int) -> None:
    """End this process as soon as another one is gone; see `watch_parent`."""
    threading.Thread(target=_watch, args=(pid,), name="parent-watch", daemon=True).start()


def _watch(pid: int) -> None:
    try:
        # remembers the process's start time as well, so that a reused id is no parent
        parent = psutil.Process(pid)
    except psutil.NoSuchProcess:
        _end(pid)
        return
    pause = threading.Event()
    while _alive(parent):
        pause.wait(INTERVAL_S)
    _end(pid)


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _end(pid: int) -> None:
    logger.error("process %d, which started this work, is gone: stopping; run it again to resume", pid)
    os._exit(1)
