"""`dagster dev` as a user has it running, what its instance tells, and a browser that looks at it."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorState, InstigatorTick, TickStatus

from tests.browser import chromium
from tests.end_to_end.conftest import REPOSITORY, Home

T = TypeVar("T")

PATIENCE_S = 900
"""How long anything is waited for: many times what a loaded machine takes."""

SCREENSHOTS = os.environ.get("AGRI_SCREENSHOTS")
"""Folder that pictures of the pages go to; none are taken where it is not set."""

WIDTH, HEIGHT = 1280, 800


@dataclass
class Platform:
    """A home with the web UI, the daemon and the code server at work in it."""

    home: Home
    address: str = ""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def log(self) -> Path:
        return self.home.folder / "dev.log"

    @property
    def instance(self) -> dg.DagsterInstance:
        return dg.DagsterInstance.from_config(self.home.environment["DAGSTER_HOME"])

    def start(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        dagster = str(Path(sys.executable).with_name("dagster"))
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [dagster, "dev", "-w", str(REPOSITORY / "workspace.yaml"), "-p", str(port)],
                cwd=self.home.folder,
                env=self.home.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.address = f"http://127.0.0.1:{port}"
        self.wait("the web UI to come up", self._answers)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/server_info", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def stop(self) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(60)
        # whatever of it is left, such as a web server that waits for its last reader
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def wait(self, what: str, found: Callable[[], T], patience_s: float = PATIENCE_S) -> T:
        """What `found` finds in the end."""
        deadline = time.monotonic() + patience_s
        while not (result := found()):
            assert self.process is not None
            assert self.process.poll() is None, f"dagster dev ended:\n{self.tail}"
            assert time.monotonic() < deadline, f"waited in vain for {what}; runs: {self.runs()}\n{self.tail}"
            time.sleep(0.5)
        return result

    @property
    def tail(self) -> str:
        return self.log.read_text()[-6000:]

    def runs(self) -> list[tuple[str, str, str]]:
        """Of each run, oldest first: its assets or its job, its tile, and how it stands."""
        with self.instance as instance:
            return [_described(record.dagster_run) for record in reversed(instance.get_run_records())]

    def finished(self, count: int) -> list[tuple[str, str, str]]:
        """All runs, once there are so many and none is at work any more."""

        def done() -> list[tuple[str, str, str]]:
            runs = self.runs()
            ended = all(status in ("SUCCESS", "FAILURE", "CANCELED") for *_, status in runs)
            return runs if ended and len(runs) >= count else []

        return self.wait(f"{count} finished runs", done)

    def newest_run(self) -> str:
        with self.instance as instance:
            return instance.get_run_records(limit=1)[0].dagster_run.run_id

    def materialized(self) -> dict[str, int]:
        """How often each asset was materialised, by name."""
        with self.instance as instance:
            return {
                key.path[-1]: len(instance.fetch_materializations(key, limit=100).records)
                for key in instance.all_asset_keys()
            }

    def state(self, name: str) -> InstigatorState | None:
        """Of a sensor or schedule; there is none before it was first turned on."""
        with self.instance as instance:
            return next((one for one in instance.all_instigator_state() if one.instigator_name == name), None)

    def ticks(self, name: str, after: float) -> list[InstigatorTick]:
        """Finished ticks of a sensor or schedule that began behind a moment."""
        state = self.state(name)
        if state is None:
            return []
        with self.instance as instance:
            told = instance.get_ticks(state.instigator_origin_id, state.selector_id, after=after)
        return [tick for tick in told if tick.status != TickStatus.STARTED and tick.timestamp > after]


def _described(run: dg.DagsterRun) -> tuple[str, str, str]:
    names = " ".join(sorted(key.path[-1] for key in run.asset_selection or ())) or run.job_name
    return names, run.tags.get("dagster/partition", ""), run.status.value


@contextmanager
def browser_page() -> Iterator[Any]:
    """A page in Chromium, in the light theme, that waits long for what it is to show."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.set_default_timeout(PATIENCE_S * 1000 / 3)
        yield page
        browser.close()


def keep_picture(page: Any, name: str, height: int = HEIGHT) -> None:
    """Take a picture of the page, where pictures are asked for."""
    if not SCREENSHOTS:
        return
    page.set_viewport_size({"width": WIDTH, "height": height})
    # for what moves to come to rest; a picture proves nothing
    page.wait_for_timeout(2000)
    Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(Path(SCREENSHOTS) / f"{name}.png"))
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
