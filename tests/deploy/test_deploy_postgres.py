"""The instance of deploy/dagster.yaml on a real Postgres server, where there is one."""

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

SETTINGS = Path(__file__).resolve().parents[2] / "deploy" / "dagster.yaml"
PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name), default=None)
PASSWORD = "of a test: /@%"

pytestmark = [
    pytest.mark.skipif(PROGRAMS is None, reason="no Postgres server in /usr/lib/postgresql"),
    pytest.mark.skipif(not importlib.util.find_spec("dagster_postgres"), reason="the extra `deploy` is not installed"),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    """The port of a server in a temporary folder; Postgres refuses to run as root, so that root lends it to nobody."""
    user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="agri-postgres-") as folder:
        (password := Path(folder, "password")).write_text(PASSWORD)
        if user:
            shutil.chown(folder, **{key: user[key] for key in ("user", "group")})
            shutil.chown(password, user["user"])

        def run(program: str, *arguments: str) -> None:
            # the server keeps the output open: it goes to a file, or this would wait for it
            with Path(folder, "output").open("ab") as output:
                command = [str(PROGRAMS / program), "-D", f"{folder}/db", *arguments]
                subprocess.run(command, check=True, cwd=folder, stdout=output, stderr=output, **user)

        run("initdb", "-U", "dagster", "-A", "scram-sha-256", f"--pwfile={password}", "--no-sync", "-E", "UTF8")
        run("pg_ctl", "-w", "-o", f"-p {port} -h 127.0.0.1 -k {folder} -F", "start")
        try:
            yield port
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")


@pytest.fixture
def home(server, tmp_path, monkeypatch) -> Path:
    """A DAGSTER_HOME with the shipped settings and the environment that they read."""
    values = {"HOST": "127.0.0.1", "PORT": str(server), "USERNAME": "dagster", "DB": "postgres", "PASSWORD": PASSWORD}
    for name, value in values.items():
        monkeypatch.setenv(f"DAGSTER_PG_{name}", value)
    shutil.copy(SETTINGS, tmp_path)
    return tmp_path


def test_two_processes_share_one_instance(home):
    @dg.asset(pool="gpu")
    def trained() -> None: ...

    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.add_dynamic_partitions("sentinel2_tiles", ["33TWL"])
        assert dg.materialize([trained], instance=instance).success
        assert type(instance.event_log_storage).__name__ == "PostgresEventLogStorage"

    shutil.rmtree(home / "storage", ignore_errors=True)
    with dg.DagsterInstance.from_config(str(home)) as other:
        assert other.get_dynamic_partitions("sentinel2_tiles") == ["33TWL"]
        assert other.get_latest_materialization_event(dg.AssetKey("trained")) is not None
        assert [run.status for run in other.get_runs()] == [dg.DagsterRunStatus.SUCCESS]
        assert other.event_log_storage.get_concurrency_info("gpu").slot_count == 1
    assert not list(home.rglob("*.db"))
