"""An S3 server in this process: moto's, which a test may tell to be busy now and then."""

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import boto3
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

BUCKET = "bucket"


class _Quiet(MotoRequestHandler):
    def log(self, *_: Any) -> None:
        """Say nothing."""


class Busy:
    """Answers 503 to each n-th request, and counts them; 0: never."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.application, self.each, self.refused, self.count = application, 0, 0, itertools.count(1)
        self.requests: list[str] = []

    def __call__(self, environment: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        number = next(self.count)
        self.requests.append(f"{environment['REQUEST_METHOD']} {environment['PATH_INFO']}")
        if self.each and number % self.each == 0:
            self.refused += 1
            # what was sent is read: closing before would look like a broken connection
            environment["wsgi.input"].read(int(environment.get("CONTENT_LENGTH") or 0))
            start("503 Slow Down", [("Content-Type", "application/xml")])
            return [b"<Error><Code>SlowDown</Code></Error>"]
        return self.application(environment, start)


@contextmanager
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Busy]:
    """The server, with the environment that points at it and an empty bucket."""
    busy = Busy(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, busy, threaded=True, request_handler=_Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    settings = {"ENDPOINT_URL": url, "ALLOW_HTTP": "true", "REGION": "us-east-1"}
    for name, value in {**settings, "ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.delenv("AWS_NO_SIGN_REQUEST", raising=False)
    import agri_assets.buckets

    # what was opened for another server of this process must not be used
    monkeypatch.setattr(agri_assets.buckets, "_opened", {})
    client = boto3.client("s3", endpoint_url=url, region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    try:
        yield busy
    finally:
        client.close()
        server.shutdown()
        server.server_close()
        import moto.backends

        moto.backends.get_backend("s3").reset()
