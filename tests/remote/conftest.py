"""A local server with faults, and clients that do not wait long."""

from collections.abc import Iterator

import pytest

from agri_assets.remote import client as client_module
from agri_assets.remote.http import Http
from agri_assets.remote.s3 import S3
from tests.remote.server import RemoteServer


@pytest.fixture(autouse=True)
def _impatient(monkeypatch) -> Iterator[None]:
    """Retries come at once, and each test has a client of its own."""
    for kind in (Http, S3):
        monkeypatch.setattr(kind, "backoff_s", 0.001)
    client_module._forget()
    yield
    client_module._forget()


@pytest.fixture
def remote_server(tmp_path) -> Iterator[RemoteServer]:
    folder = tmp_path / "served"
    folder.mkdir()
    with RemoteServer(folder) as server:
        yield server
