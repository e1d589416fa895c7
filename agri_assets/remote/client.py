"""The one client of a process for everything at other hosts, over http(s) and S3."""

import json
import os
import threading
from typing import Any
from urllib.parse import urlsplit

from agri_assets.errors import RemoteError
from agri_assets.remote.address import SCHEMES, without_signature
from agri_assets.remote.answer import GONE, NOT_ALLOWED, Answer, Part, part_of, whole
from agri_assets.remote.http import Http
from agri_assets.remote.s3 import S3
from agri_assets.remote.signing import Signer

LARGEST_DOCUMENT = 16 << 20
"""Bytes that a JSON document, or a file whose host does not serve ranges, may have."""


class Client:
    """Reads documents and parts of files; all its methods may be called by many threads.

    `sign` says how an address is signed (see `signing`); a refused signature is made anew once.
    """

    def __init__(self) -> None:
        self._http = Http()
        self._s3 = S3()
        self._signer = Signer(self.json)

    def hurry(self) -> None:
        """For commands that a person waits for: few retries, short silences."""
        self._http.hurry()

    def json(self, url: str, sign: str = "") -> Any:
        """A JSON document of at most `LARGEST_DOCUMENT` bytes.

        Raises:
            RemoteError: It cannot be had, is too large, or is not JSON.
        """
        content = self._document(url, sign)
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise RemoteError(f"{without_signature(url)}: the answer is not JSON; check the address", False) from None

    def read(self, url: str, start: int, end: int, sign: str = "") -> bytes:
        """The bytes `[start, end)` of a file; fewer only where the file ends before.

        Raises:
            RemoteError: They cannot be had, after all retries.
        """
        return self.part(url, start, end, sign).content

    def part(self, url: str, start: int, end: int, sign: str = "") -> Part:
        """Like `read`, with what else the answer says: the whole file's size and state.

        Raises:
            RemoteError: It cannot be had, after all retries.
        """
        if _scheme(url) == "s3":
            return self._s3.part(url, start, end)
        answer = self._ask(url, sign, max(end - start, LARGEST_DOCUMENT), start, end)
        return part_of(url, answer, start, end)

    def size(self, url: str, sign: str = "") -> int:
        """Size of a file in bytes.

        Raises:
            RemoteError: It is not there, or its host does not say.
        """
        # not HEAD: signatures often allow GET alone
        return self.part(url, 0, 1, sign).total

    def exists(self, url: str, sign: str = "") -> bool:
        """Whether there is a file; False only where its host says so.

        Raises:
            RemoteError: The host gives no answer, or refuses access.
        """
        if _scheme(url) == "s3":
            return self._s3.exists(url)
        answer = self._ask(url, sign, LARGEST_DOCUMENT, 0, 1)
        if answer.status in GONE:
            return False
        if answer.status not in (200, 416):
            whole(url, answer)
        return True

    def _document(self, url: str, sign: str) -> bytes:
        if _scheme(url) == "s3":
            return self._s3.document(url, LARGEST_DOCUMENT)
        return whole(url, self._ask(url, sign, LARGEST_DOCUMENT))

    def _ask(self, url: str, sign: str, limit: int, start: int = 0, end: int = 0) -> Answer:
        """One answer, asked for with a new signature where the first is refused."""
        signed = self._signer.signed(url, sign)
        answer = self._http.get(signed, limit, start, end)
        if answer.status not in NOT_ALLOWED or not sign:
            return answer
        self._signer.forget(url, sign, signed)
        return self._http.get(self._signer.signed(url, sign), limit, start, end)


_shared: list[Client] = []
_lock = threading.Lock()


def client() -> Client:
    """The client of this process; a forked child gets one of its own."""
    with _lock:
        if not _shared:
            _shared.append(Client())
        return _shared[0]


def _forget() -> None:
    """Connections and held locks are the parent's."""
    global _lock
    _lock = threading.Lock()
    _shared.clear()


os.register_at_fork(after_in_child=_forget)


def _scheme(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise RemoteError(f"{without_signature(url)}: no address that can be read; use https:// or s3://", False)
    return parts.scheme
