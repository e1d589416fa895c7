"""What a training takes from its machine."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import mean
from types import TracebackType
from typing import TypeVar

import psutil
import torch

from agri_assets.errors import first_line

logger = logging.getLogger(__name__)
W = TypeVar("W", bound="Watch")

INTERVAL_S = 0.5

COMBINED: dict[str, Callable[[list[float]], float]] = {
    "peak_memory_mb": sum,
    "peak_gpu_memory_mb": max,
    "gpu_utilisation": mean,
}
"""How the figures of several ranks become one."""


class Watch:
    """Looks at something every half second, in a thread, for the length of a `with` block."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)

    def look(self) -> None:
        """Take one sample."""
        raise NotImplementedError

    def __enter__(self: W) -> W:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self.look()
            if self._stop.wait(INTERVAL_S):
                return


class MemoryWatch(Watch):
    """Peak resident memory of this process and its children.

    Pages that processes share count once for each of them, so this is an upper bound.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak_bytes = 0

    def look(self) -> None:
        """Take one sample."""
        self.peak_bytes = max(self.peak_bytes, tree_memory())


class DeviceWatch(Watch):
    """Share of time in which the CUDA device computes, as NVML tells it, and the most of its memory that torch held."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = torch.cuda.is_available()
        self.samples: list[int] = []
        if self.asked:
            torch.cuda.reset_peak_memory_stats()

    def look(self) -> None:
        """Take one sample."""
        if not self.asked:
            return
        try:
            self.samples.append(torch.cuda.utilization())
        except Exception as error:
            # torch asks NVML by nvidia-ml-py, whose errors have no other base; not every driver answers
            logger.info("no utilisation of the device is recorded: %s", first_line(error))
            self.asked = False

    def figures(self) -> dict[str, float]:
        """`gpu_utilisation` (0 to 1) and `peak_gpu_memory_mb`, as far as they are known; none without CUDA."""
        if not torch.cuda.is_available():
            return {}
        found = {"peak_gpu_memory_mb": torch.cuda.max_memory_reserved() / 1e6}
        if self.samples:
            found["gpu_utilisation"] = sum(self.samples) / len(self.samples) / 100
        return found


@dataclass
class Usage:
    """Watches all of it for the length of a `with` block."""

    memory: MemoryWatch = field(default_factory=MemoryWatch)
    device: DeviceWatch = field(default_factory=DeviceWatch)

    def __enter__(self) -> "Usage":
        self.memory.__enter__()
        self.device.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.device.__exit__(kind, error, at)
        self.memory.__exit__(kind, error, at)

    def figures(self) -> dict[str, float]:
        """`peak_memory_mb` of all processes, and those of the device."""
        return {"peak_memory_mb": self.memory.peak_bytes / 1e6, **self.device.figures()}


def combined(figures: list[dict[str, float]]) -> dict[str, float]:
    """The figures of all ranks as one: memory of processes adds up, a device counts by the fullest, use by the mean."""
    by_name = {name: [each[name] for each in figures if name in each] for name in figures[0]}
    return {name: COMBINED[name](values) for name, values in by_name.items()}


def tree_memory() -> int:
    """Resident bytes of this process and all its children now."""
    here = psutil.Process()
    total = 0
    for process in (here, *here.children(recursive=True)):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue  # it ended between being listed and being asked
    return total
