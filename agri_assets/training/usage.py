"""What a training takes from its machine."""

import threading
from types import TracebackType

import psutil

INTERVAL_S = 0.5


class MemoryWatch:
    """Peak resident memory of this process and its children, sampled for the length of a `with` block.

    Pages that processes share count once for each of them, so this is an upper bound.
    """

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory-watch", daemon=True)

    def __enter__(self) -> "MemoryWatch":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self.peak_bytes = max(self.peak_bytes, tree_memory())
            if self._stop.wait(INTERVAL_S):
                return


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
