"""HTTP requests that wait and try again."""

import logging
import re
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.exceptions import HTTPError, InvalidHeader, MaxRetryError, ProtocolError, ReadTimeoutError
from urllib3.response import BaseHTTPResponse
from urllib3.util import Retry, Timeout

from agri_assets import __version__
from agri_assets.remote.answer import RETRIED, Answer, unreachable

logger = logging.getLogger(__name__)

LONGEST_WAIT_S = 120.0
"""What a host may ask us to wait with `Retry-After`; a longer wish is cut to this."""

TOLD_WAIT_S = 5.0
"""Waits longer than this are logged."""

HURRIED_S = 10.0
"""Longest silence of a host while a person waits."""

ERROR_BODY = 1 << 16
"""Bytes of a refusal's body that are read (and dropped) to keep its connection."""


class Patience(Retry):
    """urllib3's retries with a cap on `Retry-After`, which tell when they wait long."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """Seconds that the host asks us to wait, at most `LONGEST_WAIT_S`."""
        try:
            seconds = super().get_retry_after(response)
        except InvalidHeader:
            return None
        return None if seconds is None else min(seconds, LONGEST_WAIT_S)

    def sleep_for_retry(self, response: BaseHTTPResponse) -> bool:
        """Wait as long as the host asks for, if it does."""
        seconds = self.get_retry_after(response) or 0.0
        if seconds > TOLD_WAIT_S:
            logger.warning("a host asks us (status %d) to wait %.0f s before the next try", response.status, seconds)
        return super().sleep_for_retry(response)

    def get_backoff_time(self) -> float:
        """Seconds to wait before the next try where the host names none."""
        seconds = super().get_backoff_time()
        if seconds > TOLD_WAIT_S:
            logger.warning("%d tries without an answer; the next one in %.0f s", len(self.history), seconds)
        return seconds


class Http:
    """Connections to HTTP hosts, shared by all threads of a process.

    Attributes:
        backoff_s: Wait before the second retry; it doubles with each further one (the first comes at once).
        retries: Retries of one request.
        timeout_s: Longest silence of a host in the middle of an answer.
        connections: Connections to one host at a time; further requests wait for a free one.
    """

    backoff_s = 0.5
    retries = 6
    timeout_s = 60.0
    connections = 8

    def __init__(self) -> None:
        quieten()
        self._pools: dict[str, urllib3.PoolManager] = {}

    def hurry(self) -> None:
        """From now on try twice more at most, and wait for no host longer than a person would."""
        self.retries, self.timeout_s = min(self.retries, 2), min(self.timeout_s, HURRIED_S)

    def get(self, url: str, limit: int, start: int = 0, end: int = 0) -> Answer:
        """Ask for a document, or for its bytes `[start, end)`; bodies above `limit` bytes are not read.

        Raises:
            RemoteError: No whole answer after all retries. A refusing status is an answer.
        """
        headers = {"User-Agent": f"agri-assets/{__version__}"}
        if end:
            headers |= {"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}
        try:
            return self._until_whole(url, headers, limit)
        except MaxRetryError as error:
            failure = unreachable(url, reason(error.reason or error), transient=not _misconfigured(error))
        except HTTPError as error:
            failure = unreachable(url, reason(error), transient=not isinstance(error, ValueError))
        # raised here and not above, where it would carry urllib3's error, which quotes the signed address
        raise failure

    def _until_whole(self, url: str, headers: dict[str, str], limit: int) -> Answer:
        """urllib3 tries again until an answer begins; bodies cut in the middle are tried again here."""
        # few retries where no connection comes about: most often the address is wrong
        patience: Retry = Patience(
            self.retries,
            connect=min(self.retries, 3),
            other=min(self.retries, 3),
            status_forcelist=RETRIED,
            backoff_factor=self.backoff_s,
            backoff_jitter=self.backoff_s,
            raise_on_status=False,
        )
        pool = self._pool(url)
        while True:
            response = pool.request("GET", url, headers=headers, retries=patience, preload_content=False)
            try:
                return Answer(response.status, response.headers, _body(response, limit))
            except (ProtocolError, ReadTimeoutError) as cut:
                patience = (response.retries or patience).increment("GET", url, error=cut)
            finally:
                response.close()
                response.release_conn()
            patience.sleep()

    def _pool(self, url: str) -> urllib3.PoolManager:
        """The connections for an address, through the proxy that the environment names for it."""
        parts = urlsplit(url)
        proxy = "" if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme, "")
        if proxy not in self._pools:
            options: dict[str, Any] = {
                "maxsize": self.connections,
                "block": True,
                "timeout": Timeout(connect=min(15.0, self.timeout_s), read=self.timeout_s),
            }
            pool = urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)
            # of two threads that come here at once, both use the first one's
            return self._pools.setdefault(proxy, pool)
        return self._pools[proxy]


class _HideQueries(logging.Filter):
    """Takes query strings, which carry signatures, out of log lines."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if "?" in text:
            record.msg, record.args = re.sub(r"\?[^\s'\"]+", "?...", text), ()
        return True


def quieten() -> None:
    """Leave it to our own lines to tell of retries, and keep query strings out of urllib3's log at every level.

    A level that somebody has set for urllib3's log stays.
    """
    everything = logging.getLogger("urllib3")
    if everything.level == logging.NOTSET:
        everything.setLevel(logging.ERROR)
    for name in ("connection", "connectionpool", "poolmanager", "response", "util.retry"):
        log = logging.getLogger(f"urllib3.{name}")
        if not any(isinstance(known, _HideQueries) for known in log.filters):
            log.addFilter(_HideQueries())


def reason(error: BaseException) -> str:
    """What went wrong with a connection, without the address (its query may be a signature)."""
    words = re.sub(r"\S*\?\S+", "...", " ".join(str(error).split()))
    inner = words.rpartition(": ")[2] or words
    return f"{type(error).__name__}: {inner[:160]}"


def _body(response: BaseHTTPResponse, limit: int) -> bytes | None:
    """The body; None where it is above the limit.

    Raises:
        ProtocolError: It ended early.
    """
    if response.status >= 400:
        response.read(ERROR_BODY)
        return b""
    announced = response.headers.get("Content-Length", "")
    if announced.isdigit() and int(announced) > limit:
        return None
    content = response.read(limit + 1)
    return content if len(content) <= limit else None


def _misconfigured(error: MaxRetryError) -> bool:
    """Whether asking again cannot help: an untrusted certificate."""
    return "CERTIFICATE_VERIFY_FAILED" in str(error.reason)
