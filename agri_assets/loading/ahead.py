"""Reading ahead: the next few items are made by a thread while the current one is used."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")

DEPTH = 4
"""Items made ahead of use: enough to hide the reading of one shard behind some training steps."""


class ReadAhead(Generic[T]):
    """Items by number, made in order by one thread; meant for a single consumer.

    Asking for items in order finds them ready. Any other order works as well, without the gain.
    """

    def __init__(self, make: Callable[[int], T], total: int, depth: int = DEPTH) -> None:
        """Make nothing yet.

        Args:
            make: Makes one item; called by one thread at a time.
            total: How many items there are.
            depth: How many to make ahead.
        """
        self._make, self._total, self._depth = make, total, depth
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
        self._pending: dict[int, Future[T]] = {}

    def get(self, number: int) -> T:
        """Item `number`; whatever error its making raised is raised here."""
        if number not in self._pending:
            self._forget()
        for coming in range(number, max(number + 1, min(number + 1 + self._depth, self._total))):
            if coming not in self._pending:
                self._pending[coming] = self._pool.submit(self._make, coming)
        return self._pending.pop(number).result()

    def close(self) -> None:
        """Make nothing more."""
        self._forget()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _forget(self) -> None:
        for future in self._pending.values():
            future.cancel()
        self._pending.clear()
