"""A small training in a home of its own, by command or under `dagster dev`, and the processes that it is made of."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import psutil
from dagster_graphql import DagsterGraphQLClient

from agri_assets.config import Collection, load_collections
from agri_assets.store.layout import CollectionPaths
from tests.end_to_end.conftest import Home, make_home
from tests.training.conftest import write_images

MODEL = "cnn_vit_hybrid"
ASSET = dg.AssetKey(["tiny", MODEL])
PATIENCE_S = 600

COLLECTIONS = """
collections:
  tiny:
    source: {kind: archive, path: images}
    bands: [B04, B03, B02]
    tile_size: 32
    labels: {kind: classes, agricultural: [Field]}
    split: {val: 0.3, test: 0.2}
    recipe:
      {epochs: 16, batch_size: 16, workers: 0, jitter: 0.1, cutmix: 1.0, checkpoint_minutes: 0,
       options: {width: 32, depth: 1, heads: 2, drop_rate: 0.1}}
    models: {cnn_vit_hybrid: {}}
"""
"""64 steps with a checkpoint after each, which is long enough to be struck."""


def prepared_home(folder: Path) -> Home:
    """A home whose archive is built and split, so that only the training is to be done."""
    from agri_assets.cube.archive import build_archive_cube
    from agri_assets.splits.build import build_splits

    home = make_home(folder, COLLECTIONS)
    write_images(folder / "images", 60, shuffled=False)
    build_archive_cube(collection_of(home), paths_of(home))
    build_splits(collection_of(home), paths_of(home))
    return home


def collection_of(home: Home) -> Collection:
    return load_collections(home.folder / "collections.yaml").collection("tiny")


def paths_of(home: Home) -> CollectionPaths:
    return CollectionPaths(home.data, "tiny")


def environment_of(home: Home) -> dict[str, str]:
    # a network this small is slower by several threads, by far where others use the machine
    return {**home.environment, "OMP_NUM_THREADS": "1"}


def wait_for(found: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not found():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S} s: {what}"
        time.sleep(0.2)


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def at_work(home: Home, *words: str) -> list[psutil.Process]:
    """Living processes of a home whose command line holds these words."""
    found = []
    for process in psutil.process_iter():
        try:
            if all(word in process.cmdline() for word in words) and process.cwd() == str(home.folder):
                found.append(process)
        except psutil.Error:
            continue
    return [process for process in found if alive(process)]


def trainers(home: Home) -> list[psutil.Process]:
    return at_work(home, "agri_assets.defs.launcher")


def checkpointed(home: Home) -> bool:
    return bool(list(paths_of(home).model(MODEL).glob("*/checkpoints/last.ckpt")))


@contextmanager
def instance_of(home: Home) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(home.folder / "dagster_home")) as instance:
        yield instance


def process_of_event(home: Home, run_id: str, kind: dg.DagsterEventType) -> psutil.Process:
    """The process that wrote the first event of a kind."""
    with instance_of(home) as instance:
        record = instance.get_records_for_run(run_id, of_type=kind).records[0]
    event = record.event_log_entry.dagster_event
    assert event is not None
    return psutil.Process(event.pid)


def nothing_held(home: Home) -> bool:
    with instance_of(home) as instance:
        found = instance.event_log_storage.get_concurrency_info("gpu")
    return not found.claimed_slots and not found.pending_steps


@dataclass(frozen=True)
class Dev:
    """`dagster dev` over a home."""

    home: Home
    process: subprocess.Popen[bytes]
    port: int

    def launch(self) -> str:
        """Ask for the training, as the web UI does."""
        with warnings.catch_warnings():
            # Dagster's client calls gql in an older way
            warnings.simplefilter("ignore", DeprecationWarning)
            client = DagsterGraphQLClient("127.0.0.1", port_number=self.port)
            return client.submit_job_execution("__ASSET_JOB", asset_selection=[list(ASSET.path)])

    def state(self, run_id: str) -> dg.DagsterRun:
        with instance_of(self.home) as instance:
            run = instance.get_run_by_id(run_id)
        assert run is not None
        return run

    def await_end(self, run_id: str) -> dg.DagsterRunStatus:
        wait_for(lambda: self.state(run_id).is_finished, f"the end of run {run_id}")
        return self.state(run_id).status


@contextmanager
def dagster_dev(home: Home) -> Iterator[Dev]:
    """It, up; ended as by Ctrl-C, which reaches all of its processes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("dagster")), "dev", "-m", "agri_assets.definitions", "-p", str(port)]
    with (home.folder / "dev.log").open("a") as log:
        process = subprocess.Popen(
            command, cwd=home.folder, env=environment_of(home), stdout=log, stderr=log, start_new_session=True
        )
        try:
            wait_for(lambda: process.poll() is not None or is_up(port), "dagster dev")
            yield Dev(home, process, port)
        finally:
            end_group(process)


def is_up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Ctrl-C; whoever of the group does not heed it within a minute is killed."""
    for number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        deadline = time.monotonic() + 60
        while group(process.pid) and time.monotonic() < deadline:
            process.poll()
            time.sleep(0.2)
    process.wait(60)


def group(number: int) -> list[psutil.Process]:
    """Living processes of a process group."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == number:
                found.append(process)
        except OSError:
            continue
    return [process for process in found if alive(process)]
