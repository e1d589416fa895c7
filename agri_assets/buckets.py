"""Buckets of S3 and of what speaks like it, opened by obstore, each once in a process.

Endpoint, region and credentials come from the environment: `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`,
`AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`; `AWS_ALLOW_HTTP=true` for an endpoint without TLS.
"""

import os
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from agri_assets.errors import StoreError

if TYPE_CHECKING:
    from obstore.store import S3Store

T = TypeVar("T")

ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")

RETRIES = 10
"""Of one request, after 5xx, 429 and what breaks off before an answer; waits double from 0.1 s to 15 s."""

BROKEN_BODIES = 3
"""How often an answer that broke off in its middle is asked for again: obstore itself tries only until it begins."""

TIMEOUT_S = 300.0
"""Longest time of one request, its body included."""

_opened: dict[tuple[str, str], "S3Store"] = {}
_owner: dict[str, int] = {}
_lock = threading.Lock()


def open_bucket(name: str, prefix: str = "") -> "S3Store":
    """A bucket, or what lies below a prefix of it.

    Raises:
        StoreError: The package obstore is missing, or this process was forked from one that has used it.
    """
    try:
        from obstore.store import S3Store
    except ImportError:
        raise StoreError(f"s3://{name}: needs the package obstore; install agri-assets[platform]") from None
    # the threads of obstore do not live on in a forked child, where a request would wait for them for ever
    if _owner.setdefault("pid", os.getpid()) != os.getpid():
        raise StoreError(f"s3://{name}: cannot be used in a forked process; start processes by forkserver or spawn")
    endpoint = next((os.environ[name] for name in ENDPOINT_VARIABLES if os.environ.get(name)), None)
    settings: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
    if prefix:
        settings["prefix"] = prefix
    with _lock:
        if (name, prefix) not in _opened:
            _opened[name, prefix] = S3Store(
                name,
                **settings,
                client_options={
                    "allow_http": (endpoint or "").startswith("http://"),
                    "timeout": timedelta(seconds=TIMEOUT_S),
                },
                retry_config={
                    "max_retries": RETRIES,
                    "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=15)},
                },
            )
        return _opened[name, prefix]


def ask(where: object, call: Callable[[], T]) -> T:
    """The answer to a request about `where`; a refused condition of a conditional put is raised as it is.

    Raises:
        FileNotFoundError: There is no such object.
        StoreError: There is no answer after all retries, or access is refused.
    """
    from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

    left = BROKEN_BODIES
    while True:
        try:
            return call()
        except (AlreadyExistsError, PreconditionError):
            raise
        except FileNotFoundError:
            raise FileNotFoundError(f"{where}: no such object") from None
        except (BaseError, OSError, ValueError) as error:
            if not left or not _broke_off(error):
                raise StoreError(_explained(where, error)) from None
        left -= 1


def _broke_off(error: Exception) -> bool:
    return type(error).__name__ == "GenericError" and "body" in str(error).lower()


def _explained(where: object, error: Exception) -> str:
    """An error of obstore in one line; its own text has many."""
    first = (str(error).splitlines() or [""])[0]
    return (
        f"{where}: the object storage does not do it ({type(error).__name__}: {first[:200]}); check AWS_ENDPOINT_URL, "
        "AWS_REGION, the AWS credentials and that the bucket exists"
    )
