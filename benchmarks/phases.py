"""One measured phase in a process of its own: wall time, processor time and peak memory of all its processes."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psutil

POLL_S = 0.2


@dataclass(frozen=True)
class Phase:
    """What a phase took.

    Attributes:
        wall_s: Seconds by the clock, of the work itself, without starting Python and importing.
        busy: Processor time over wall time times cores.
        peak_gb: Most resident memory of all its processes together.
        result: What it printed as its last line, as JSON.
    """

    wall_s: float
    busy: float
    peak_gb: float
    result: dict[str, Any]


def mean(phases: Sequence[Phase]) -> Phase:
    """Phases of several rounds as one: mean times, highest memory."""
    wall = sum(phase.wall_s for phase in phases)
    busy = sum(phase.wall_s * phase.busy for phase in phases) / wall
    return Phase(wall / len(phases), busy, max(phase.peak_gb for phase in phases), phases[0].result)


def measure(module: str, *arguments: str, python: str = sys.executable, shared_once: bool = False) -> Phase:
    """Run `python -m module arguments`, whose last line must be JSON with `wall_s` and `cpu_s` of the work itself.

    Args:
        module: The module to run.
        arguments: Of its command line.
        python: The interpreter.
        shared_once: Count memory that its processes share once (Linux), not once for each of them.
    """
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    process = subprocess.Popen([python, "-m", module, *arguments], stdout=subprocess.PIPE, text=True, env=environment)
    peak = _Peak(process.pid, shared_once)
    try:
        output, _ = process.communicate()
    finally:
        highest = peak.stop()
    if process.returncode:
        raise SystemExit(f"{module} {' '.join(arguments)} failed with exit code {process.returncode}")
    result = json.loads(output.strip().splitlines()[-1])
    busy = result["cpu_s"] / result["wall_s"] / (os.cpu_count() or 1)
    return Phase(result["wall_s"], busy, highest / 1e9, result)


class Clock:
    """Wall and processor time (of this process and its ended children) since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), self._spent()

    def report(self, **more: Any) -> None:
        """Print what passed as the last line that `measure` reads."""
        print(json.dumps({"wall_s": time.perf_counter() - self._wall, "cpu_s": self._spent() - self._cpu, **more}))

    @staticmethod
    def _spent() -> float:
        times = os.times()
        return times.user + times.system + times.children_user + times.children_system


class _Peak:
    """Watches the resident memory of a process and its children."""

    def __init__(self, pid: int, shared_once: bool) -> None:
        self._process, self._highest, self._shared_once = psutil.Process(pid), 0, shared_once
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> int:
        """Bytes at the highest moment."""
        self._done.set()
        self._thread.join()
        return self._highest

    def _watch(self) -> None:
        while not self._done.wait(POLL_S):
            try:
                family = [self._process, *self._process.children(recursive=True)]
                self._highest = max(self._highest, sum(map(self._size, family)))
            except psutil.NoSuchProcess:
                continue

    def _size(self, member: psutil.Process) -> int:
        info = member.memory_full_info() if self._shared_once else member.memory_info()
        return int(info.pss if self._shared_once else info.rss)
