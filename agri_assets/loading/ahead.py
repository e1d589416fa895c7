"""Reading ahead: the next few items are made by a thread while the current one is used."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")

DEPTH = 4
"""Items made ahead of use: enough to hide the reading of one shard behind some training steps."""


def read_ahead(items: Iterator[T], depth: int = DEPTH) -> Iterator[T]:
    """The same items, taken by a thread before they are asked for; whatever error that raises is raised here.

    Args:
        items: Used by that thread alone.
        depth: How many to take ahead.
    """
    ahead: _Ahead[T] = _Ahead(items, depth)
    try:
        yield from ahead.items()
    finally:
        ahead.close()


class _Ahead(Generic[T]):
    """A thread that takes an item for each leave it is given.

    Plain queues instead of futures: to ask for an item that is ready must not wake and await the thread.
    """

    def __init__(self, items: Iterator[T], depth: int) -> None:
        self._items = items
        self._leave: SimpleQueue[bool] = SimpleQueue()
        self._taken: SimpleQueue[tuple[T] | BaseException] = SimpleQueue()
        self._open = True
        for _ in range(depth):
            self._leave.put(True)
        self._thread = threading.Thread(target=self._take, name="read-ahead", daemon=True)
        self._thread.start()

    def items(self) -> Iterator[T]:
        while not isinstance(taken := self._taken.get(), BaseException):
            self._leave.put(True)
            yield taken[0]
        if not isinstance(taken, StopIteration):
            raise taken

    def close(self) -> None:
        """Take nothing more."""
        self._open = False
        self._leave.put(False)
        self._thread.join()

    def _take(self) -> None:
        while self._leave.get() and self._open:
            try:
                self._taken.put((next(self._items),))
            except BaseException as error:  # a thread has nobody else to tell it to
                self._taken.put(error)
                return


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
