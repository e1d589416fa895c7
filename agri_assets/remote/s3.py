"""Objects in S3 and what speaks like it, by obstore.

Credentials and region come from the environment: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`,
`AWS_ENDPOINT_URL`, `AWS_REQUEST_PAYER`; `AWS_NO_SIGN_REQUEST=YES` reads public buckets without any.
"""

import os
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from agri_assets.buckets import ENDPOINT_VARIABLES
from agri_assets.errors import RemoteError
from agri_assets.remote.answer import Part, refused, unreachable

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import S3Store

T = TypeVar("T")


class S3:
    """Buckets of one process, each opened once.

    Attributes:
        backoff_s: Wait before the first retry; it doubles with each further one.
        retries: Retries of one request.
        timeout_s: Longest time for one request.
    """

    backoff_s = 0.5
    retries = 6
    timeout_s = 120.0

    def __init__(self) -> None:
        self._stores: dict[str, S3Store] = {}
        self._lock = threading.Lock()

    def part(self, url: str, start: int, end: int) -> Part:
        """The bytes `[start, end)` of an object.

        Raises:
            RemoteError: They cannot be had, after all retries.
        """
        part = self._ask(url, {"range": (start, end)}, _part)
        if len(part.content) != min(end, part.total) - start:
            raise unreachable(url, f"{len(part.content)} bytes came instead of {end - start}")
        return part

    def document(self, url: str, limit: int) -> bytes:
        """A whole object of at most `limit` bytes.

        Raises:
            RemoteError: It cannot be had, or is larger.
        """

        def content(result: Any) -> bytes:
            size = result.meta["size"]
            if size > limit:
                raise RemoteError(f"{url}: has {size} bytes, a document at most {limit}; check the address", False)
            return bytes(result.bytes())

        return self._ask(url, {}, content)

    def exists(self, url: str) -> bool:
        """Whether there is an object.

        Raises:
            RemoteError: The host gives no answer, or refuses access.
        """
        try:
            self._ask(url, {"head": True}, lambda result: None)
        except _MissingObjectError:
            return False
        return True

    def _ask(self, url: str, options: "GetOptions", take: Callable[[Any], T]) -> T:
        """An answer's content; what breaks off in the middle of a body is asked for again."""
        import obstore
        from obstore.exceptions import BaseError

        parts = urlsplit(url)
        key = url.removeprefix(f"s3://{parts.netloc}/")
        store = self._store(url, parts.netloc)
        left = min(self.retries, 3)
        while True:
            try:
                return take(obstore.get(store, key, options=options))
            except (BaseError, OSError, ValueError) as error:
                if not left or not _cut(error):
                    raise _explained(url, error) from None
            left -= 1

    def _store(self, url: str, bucket: str) -> "S3Store":
        try:
            from obstore.store import S3Store
        except ImportError:
            raise RemoteError(
                f"{url}: reading S3 needs the package obstore; install agri-assets[platform]", transient=False
            ) from None
        # the threads of obstore do not live on in a forked child, where a request would wait for them for ever
        if _owner.setdefault("pid", os.getpid()) != os.getpid():
            raise RemoteError(
                f"{url}: S3 cannot be read in a process forked from one that has read it; start processes by forkserver"
            )
        endpoint = next((os.environ[name] for name in ENDPOINT_VARIABLES if os.environ.get(name)), None)
        unsigned = os.environ.get("AWS_NO_SIGN_REQUEST", "").lower() in ("yes", "true", "1")
        with self._lock:
            if bucket not in self._stores:
                settings: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
                self._stores[bucket] = S3Store(
                    bucket,
                    **settings | ({"skip_signature": True} if unsigned else {}),
                    client_options={
                        "allow_http": (endpoint or "").startswith("http://"),
                        "timeout": timedelta(seconds=self.timeout_s),
                    },
                    retry_config={
                        "max_retries": self.retries,
                        "backoff": {"init_backoff": timedelta(seconds=self.backoff_s)},
                    },
                )
            return self._stores[bucket]


class _MissingObjectError(RemoteError):
    """There is no such object."""


_owner: dict[str, int] = {}
"""The process that used obstore first."""


def _cut(error: Exception) -> bool:
    """Whether a body ended early: obstore tries again by itself only until an answer begins."""
    return type(error).__name__ == "GenericError" and "body" in str(error).lower()


def _part(result: Any) -> Part:
    return Part(bytes(result.bytes()), int(result.meta["size"]), result.meta["e_tag"] or "")


def _explained(url: str, error: Exception) -> RemoteError:
    """An error of obstore in one line; its own text has many."""
    if isinstance(error, FileNotFoundError):
        return _MissingObjectError(str(refused(url, 404)), transient=False)
    kind = type(error).__name__
    if kind in ("PermissionDeniedError", "UnauthenticatedError"):
        return refused(url, 403)
    lines = str(error).splitlines() or [""]
    if "416" in lines[0] or "Range" in lines[0]:
        return refused(url, 416)
    if kind == "GenericError" and "redirect" not in lines[0].lower():
        return unreachable(url, f"{kind}: {lines[0][:160]}")
    return RemoteError(
        f"{url}: cannot be read ({kind}: {lines[0][:160]}); check AWS_REGION, AWS_ENDPOINT_URL and the address",
        transient=False,
    )
