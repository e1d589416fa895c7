"""Fixtures shared by all tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.object_storage import ObjectServer, served, use

os.environ.setdefault("KERAS_BACKEND", "torch")

# a deadline per example measures how busy the machine is, not the code
settings.register_profile("project", deadline=None)
settings.load_profile("project")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; where it is missing tests skip, except in CI."""
    if not SHARED.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"{SHARED} is missing in CI")
        pytest.skip("the real data of the project (shared/data) is not beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def object_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    """An S3 server in a process of its own."""
    with served(tmp_path_factory.mktemp("s3") / "requests.log") as server:
        yield server


@pytest.fixture
def object_storage(object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> ObjectServer:
    """The server with the empty bucket `bucket`, and the environment that points at it."""
    use(object_server, monkeypatch)
    return object_server
