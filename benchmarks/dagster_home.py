"""A Dagster home of its own for a benchmark: its collections, commands in it, and the web UI and daemon over it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from agri_assets.store.layout import CollectionPaths

REPOSITORY = Path(__file__).parents[1]
SETTINGS = REPOSITORY / "dagster_home" / "dagster.yaml"
UP_WITHIN_S = 300
LOCATION = "agri_assets"

LOADED = "{ locationStatusesOrError { ... on WorkspaceLocationStatusEntries { entries { loadStatus } } } }"
START = """mutation ($sensor: SensorSelector!) { startSensor(sensorSelector: $sensor) { __typename } }"""
TICKS = """query ($sensor: SensorSelector!) { sensorOrError(sensorSelector: $sensor) { ... on Sensor { sensorState {
  ticks(limit: 1, statuses: [SKIPPED, SUCCESS, FAILURE]) { timestamp endTimestamp status skipReason } } } } }"""


@dataclass(frozen=True)
class Tick:
    """One look of a sensor that has ended.

    Attributes:
        at: When it began (seconds since 1970).
        took_s: How long it took.
        status: `SKIPPED`, `SUCCESS` or `FAILURE`.
        said: Why it asked for nothing.
    """

    at: float
    took_s: float
    status: str
    said: str


@dataclass(frozen=True)
class Home:
    """A working directory with its own Dagster home, data root and collections."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, collections: Mapping[str, Any]) -> "Home":
        """A new one, with the repository's instance settings."""
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "dagster_home").mkdir(parents=True)
        shutil.copy(SETTINGS, folder / "dagster_home")
        # JSON is YAML
        (folder / "collections.yaml").write_text(json.dumps({"collections": collections}, indent=1))
        return cls(folder)

    @property
    def environment(self) -> dict[str, str]:
        """What a command in it sees."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AGRI_", "DAGSTER_"))}
        own = {
            "DAGSTER_HOME": self.folder / "dagster_home",
            "AGRI_COLLECTIONS": self.folder / "collections.yaml",
            "AGRI_DATA_ROOT": self.folder / "data",
        }
        return {**kept, "PYTHONWARNINGS": "ignore", **{name: str(path) for name, path in own.items()}}

    def paths(self, collection: str) -> CollectionPaths:
        """Where a collection lies."""
        return CollectionPaths(self.folder / "data", collection)

    def run(self, *module: str) -> tuple[str, float]:
        """Run `python -m` a module with arguments; returns what it printed, and its seconds.

        Raises:
            SystemExit: It fails.
        """
        started = time.perf_counter()
        command = [sys.executable, "-m", *module]
        done = subprocess.run(command, env=self.environment, cwd=REPOSITORY, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed: {done.stdout[-2000:]}{done.stderr[-4000:]}")
        return done.stdout + done.stderr, time.perf_counter() - started

    def materialize(self, select: str, *more: str, module: str = "agri_assets.definitions") -> tuple[str, float]:
        """Run `dagster asset materialize`."""
        return self.run("dagster", "asset", "materialize", "-m", module, "--select", select, *more)

    @contextmanager
    def platform(self) -> Iterator["Platform"]:
        """`dagster dev` over it, until the block ends."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [sys.executable, "-m", "dagster", "dev", "-w", "workspace.yaml", "-p", str(port)]
        started = time.perf_counter()
        with (self.folder / "dev.log").open("w") as log:
            process = subprocess.Popen(
                command, cwd=REPOSITORY, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        try:
            platform = Platform(f"http://127.0.0.1:{port}", process)
            platform.wait()
            platform.ready_s = time.perf_counter() - started
            yield platform
        finally:
            _end(process)


class Platform:
    """A running web UI, daemon and code server.

    Attributes:
        address: Of the web UI.
        ready_s: Seconds from the command until the code location was loaded and the web UI answered.
    """

    def __init__(self, address: str, process: subprocess.Popen[bytes]) -> None:
        self.address, self.ready_s = address, 0.0
        self._process = process

    def wait(self) -> None:
        """Wait until the web UI answers and has loaded the code location."""
        deadline = time.monotonic() + UP_WITHIN_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise SystemExit(f"dagster dev ended with {self._process.returncode}")
            try:
                entries = self.ask(LOADED)["locationStatusesOrError"]["entries"]
            except OSError:
                entries = []
            if entries and all(entry["loadStatus"] == "LOADED" for entry in entries):
                return
            time.sleep(0.1)
        raise SystemExit(f"dagster dev was not up after {UP_WITHIN_S} s")

    def ask(self, query: str, **variables: Any) -> Any:
        """What the web UI answers to a GraphQL query."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.address}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=UP_WITHIN_S) as answer:
            told = json.load(answer)
        if "errors" in told:
            raise SystemExit(f"GraphQL: {told['errors']}")
        return told["data"]

    def start_sensor(self, name: str) -> None:
        """Turn a sensor on."""
        self.ask(START, sensor=_sensor(name))

    def tick_after(self, name: str, time_s: float, within_s: float = UP_WITHIN_S) -> Tick:
        """The first seen of a sensor's looks that began after a time and have ended."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            for tick in self.ask(TICKS, sensor=_sensor(name))["sensorOrError"]["sensorState"]["ticks"]:
                if tick["timestamp"] > time_s and tick["endTimestamp"]:
                    took = tick["endTimestamp"] - tick["timestamp"]
                    return Tick(tick["timestamp"], took, tick["status"], tick["skipReason"] or "")
            time.sleep(0.2)
        raise SystemExit(f"{name} did not look within {within_s} s")

    @property
    def largest_gb(self) -> float:
        """Resident memory of the largest of its processes now."""
        family = psutil.Process(self._process.pid).children(recursive=True)
        sizes = []
        for member in family:
            try:
                sizes.append(member.memory_info().rss)
            except psutil.NoSuchProcess:
                continue
        return max(sizes, default=0) / 1e9


def _sensor(name: str) -> dict[str, str]:
    return {"repositoryLocationName": LOCATION, "repositoryName": "__repository__", "sensorName": name}


def _end(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
