"""An S3 server: moto's, in a process of its own, which a test may tell to be busy now and then."""

import itertools
import multiprocessing
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from ctypes import c_int
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import boto3
import pytest

BUCKET = "bucket"


class _Busy:
    """Answers 503 to each n-th request (0: never), and writes down all of them."""

    def __init__(self, application: Callable[..., Iterable[bytes]], each: Any, log: Path) -> None:
        self.application, self.each, self.log, self.count = application, each, log, itertools.count(1)

    def __call__(self, environment: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        refused = self.each.value and next(self.count) % self.each.value == 0
        with self.log.open("a") as log:
            log.write(f"{503 if refused else 200} {environment['REQUEST_METHOD']} {environment['PATH_INFO']}\n")
        if not refused:
            return self.application(environment, start)
        # what was sent is read: closing before would look like a broken connection
        environment["wsgi.input"].read(int(environment.get("CONTENT_LENGTH") or 0))
        start("503 Slow Down", [("Content-Type", "application/xml")])
        return [b"<Error><Code>SlowDown</Code></Error>"]


def _serve(port: Any, each: Any, log: Path) -> None:
    import logging

    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, _Busy(DomainDispatcherApplication(create_backend_app), each, log), True)
    port.value = server.server_port
    server.serve_forever()


@dataclass(frozen=True)
class ObjectServer:
    """The running server.

    Attributes:
        url: Its address.
        busy: Every how many requests it answers 503; 0: never.
        log: One line per request.
    """

    url: str
    busy: Any
    log: Path

    @property
    def requests(self) -> list[str]:
        """Method and path of every request since the last `forget`."""
        return [line.partition(" ")[2] for line in self.log.read_text().splitlines()]

    @property
    def refused(self) -> int:
        """Requests answered by 503 since the last `forget`."""
        return sum(line.startswith("503") for line in self.log.read_text().splitlines())

    def forget(self) -> None:
        """Forget the requests so far."""
        self.log.write_text("")

    def empty(self) -> None:
        """Begin anew with an empty bucket."""
        self.busy.value = 0
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/moto-api/reset", method="POST")).close()
        client = boto3.client("s3", endpoint_url=self.url, region_name="us-east-1", **_KEYS)
        client.create_bucket(Bucket=BUCKET)
        client.close()
        self.forget()


_KEYS = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}


@contextmanager
def served(log: Path) -> Iterator[ObjectServer]:
    """The server for the length of the block."""
    context = multiprocessing.get_context("spawn")
    port, busy = context.Value(c_int, 0), context.Value(c_int, 0)
    process = context.Process(target=_serve, args=(port, busy, log), daemon=True)
    process.start()
    try:
        until = time.monotonic() + 60
        while not port.value:
            assert process.is_alive(), "moto's server did not start"
            assert time.monotonic() < until, "moto's server did not start in time"
            time.sleep(0.05)
        yield ObjectServer(f"http://127.0.0.1:{port.value}", busy, log)
    finally:
        process.kill()
        process.join()


def environment(server: ObjectServer) -> dict[str, str]:
    """The environment that points at the server."""
    place = {"AWS_ENDPOINT_URL": server.url, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1"}
    return {**place, **{name.upper(): value for name, value in _KEYS.items()}}


def use(server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point this process at the server, with an empty bucket."""
    server.empty()
    for name, value in environment(server).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_NO_SIGN_REQUEST", raising=False)
    # what was opened for another server or with other settings must not be used
    monkeypatch.setattr("agri_assets.buckets._opened", {})
