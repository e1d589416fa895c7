"""A local server with faults, and clients that do not wait long."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from agri_assets.remote import client as client_module
from agri_assets.remote.http import Http
from agri_assets.remote.s3 import S3

_spec = importlib.util.spec_from_file_location("remote_server", Path(__file__).with_name("server.py"))
_server = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_server)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch) -> Iterator[None]:
    """Retries come at once, and each test has a client of its own."""
    for kind in (Http, S3):
        monkeypatch.setattr(kind, "backoff_s", 0.001)
    client_module._forget()
    yield
    client_module._forget()


@pytest.fixture
def remote_server(tmp_path) -> Iterator["_server.RemoteServer"]:
    folder = tmp_path / "served"
    folder.mkdir()
    with _server.RemoteServer(folder) as server:
        yield server
