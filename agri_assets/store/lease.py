"""Locks in object storage: a lease that its holder renews, and that others take over once it has stopped.

The lease is one object, made by a put that fails where there is one already. Each renewal and takeover is a put that
fails where somebody else came first, so that two can never hold it at once without one of them knowing. Whose lease was
taken over (a machine that slept, a network that was gone) may write nothing any more.
"""

import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from agri_assets.buckets import ask
from agri_assets.errors import StoreError
from agri_assets.objects import ObjectPath

logger = logging.getLogger(__name__)

EXPIRY_S = 60.0
"""Without a sign of life for so long, a lease may be taken over."""

BEAT_S = 10.0
"""Between two signs of life."""

WATCH_S = 2.2 * BEAT_S
"""How long a lease that seems to be abandoned is watched before it is taken over: clocks of hosts may differ."""

POLL_S = 1.0

_held: set["Lease"] = set()


def clock() -> float:
    """Seconds that also pass while the machine sleeps, where the system has such a clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(frozen=True)
class _Sight:
    """A lease as it was found: its state's tag, its holder, and the seconds since the last sign of life."""

    tag: str
    holder: dict[str, Any]
    age_s: float

    @property
    def seems_abandoned(self) -> bool:
        """Expired by our clock, or of a process of this host that is gone."""
        return self.age_s > EXPIRY_S or (self.holder.get("host") == socket.gethostname() and self._is_gone())

    def _is_gone(self) -> bool:
        try:
            os.kill(int(self.holder["pid"]), 0)
        except ProcessLookupError:
            return True
        except (OSError, KeyError, ValueError):
            return False
        return False

    def __str__(self) -> str:
        holder = f"process {self.holder.get('pid')} on {self.holder.get('host')}"
        return f"{holder}, last sign of life {max(0.0, self.age_s):.0f} s ago"


@dataclass(eq=False)
class Lease:
    """One lease of this process.

    Attributes:
        path: Its object.
        tag: Tag of the object's state as this process wrote it.
        lost: Whether somebody else has it now, or may have.
        asked: When its last put began, by `clock`.
        renewed: When the last put began that was done.
    """

    path: ObjectPath
    tag: str = ""
    lost: bool = False
    asked: float = 0.0
    renewed: float = 0.0
    beats: int = 0
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def expired(self) -> bool:
        """Whether somebody else may have it by now: this process slept, or the network was gone."""
        return clock() - self.renewed > EXPIRY_S

    def acquire(self, what: str, timeout_s: float) -> None:
        """Wait for the lease; a negative `timeout_s` waits for ever.

        Raises:
            StoreError: Somebody else holds it.
        """
        deadline = time.monotonic() + timeout_s if timeout_s >= 0 else float("inf")
        while not self._put(None):
            found = self._look()
            if found is None:
                continue
            if found.holder.get("name") == self.name:
                # the answer to our own put was lost on its way
                self.tag, self.renewed = found.tag, self.asked
                return
            if found.seems_abandoned and self._stays(found) and self._put(found.tag):
                logger.warning("%s: took over the lock of %s", what, found)
                return
            if time.monotonic() >= deadline:
                raise StoreError(
                    f"{what} is in use by {found} ({self.path}); wait for it or stop it; the lock of a dead process "
                    f"is taken over {EXPIRY_S:.0f} s after its last sign of life"
                )
            time.sleep(min(POLL_S, max(0.0, deadline - time.monotonic())))

    def keep(self) -> None:
        """Renew until the lease is released or lost; runs in a thread of its own."""
        while not self.ended.wait(BEAT_S):
            try:
                if self._put(self.tag) or self._was_ours():
                    continue
                self.lost = True
            except StoreError as error:
                logger.warning("%s: the lock could not be renewed: %s", self.path, error)
                self.lost = self.expired
            if self.lost:
                logger.error("%s: the lock was lost; nothing more is written", self.path)
                return

    def release(self) -> None:
        """End it; a lease that was lost, or may have been, is another's and stays."""
        self.ended.set()
        if not (self.lost or self.expired):
            self.path.unlink(missing_ok=True)

    def _put(self, tag: str | None) -> bool:
        """Write the lease where there is none, or over the state with that tag; False where somebody came first."""
        self.beats += 1
        # every state differs from the one before, and so does its tag
        state = {"host": socket.gethostname(), "pid": os.getpid(), "name": self.name, "beat": self.beats}
        self.asked = clock()
        done = self.path.put_if(json.dumps(state).encode(), tag)
        if done is None:
            return False
        self.tag, self.renewed = done, self.asked
        return True

    def _look(self) -> _Sight | None:
        """The lease as it is now; None where there is none."""
        import obstore

        def read() -> tuple[bytes, Any]:
            result = obstore.get(self.path.bucket, self.path.key)
            return result.bytes().to_bytes(), result.meta

        try:
            content, meta = ask(self.path, read)
        except FileNotFoundError:
            return None
        try:
            holder = json.loads(content)
        except ValueError:
            holder = {}
        age = (datetime.now(UTC) - meta["last_modified"]).total_seconds()
        return _Sight(meta["e_tag"] or "", holder if isinstance(holder, dict) else {}, age)

    def _stays(self, found: _Sight) -> bool:
        """Whether a lease shows no sign of life while it is watched."""
        until = time.monotonic() + WATCH_S
        while time.monotonic() < until:
            time.sleep(min(POLL_S, WATCH_S))
            now = self._look()
            if now is None or now.tag != found.tag:
                return False
        return True

    def _was_ours(self) -> bool:
        """Whether a renewal whose answer was lost had been done."""
        found = self._look()
        if found is None or found.holder.get("name") != self.name:
            return False
        self.tag, self.renewed = found.tag, self.asked
        return True


@contextmanager
def leased(target: ObjectPath, what: str, timeout_s: float = 0.0) -> Iterator[None]:
    """Hold the lease of `target` (an object beside it) for the length of the block.

    Raises:
        StoreError: Another process holds it for longer than `timeout_s`, or took it over meanwhile.
    """
    lease = Lease(target.with_name(f".{target.name}.lock"))
    lease.acquire(what, timeout_s)
    _held.add(lease)
    thread = threading.Thread(target=lease.keep, name=f"lease {target.name}", daemon=True)
    thread.start()
    try:
        yield
        require_leases(target)
    finally:
        lease.ended.set()
        thread.join()
        _held.discard(lease)
        lease.release()


def require_leases(target: ObjectPath) -> None:
    """Refuse to write where this process has lost a lock that it believes to hold.

    Raises:
        StoreError: It has.
    """
    for lease in list(_held):
        if lease.lost or lease.expired:
            raise StoreError(f"{target}: not written, since another process took over {lease.path}; run it again")
