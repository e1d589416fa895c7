"""Where a cube is built: threads, processes, and a scheduler's workers make the same cube, also when one is killed."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dask.delayed import delayed

from agri_assets.config import Collection
from agri_assets.cube import cluster
from agri_assets.cube.build import build_cube
from agri_assets.cube.cluster import PACKAGES, require_same_versions
from agri_assets.cube.open import open_array, open_cube, read_block
from agri_assets.errors import CubeError
from agri_assets.scenes.record import SceneRecord
from agri_assets.store.layout import CollectionPaths

ROOT = Path(__file__).parents[2]

PRELOAD = """
import os, signal, threading, time
from agri_assets.cube import decode, raster

reads = []


def read_pixels(*arguments):
    reads.append(arguments)
    {}
    return raster.read_pixels(*arguments)


decode.read_pixels = read_pixels
"""
SLOW = PRELOAD.format("time.sleep(0.3)")
DIES = PRELOAD.format("threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGKILL)).start()")
"""A worker that ends itself soon after it was given work, with results in its memory."""


@dataclass(frozen=True)
class Scheduler:
    """A scheduler in a process of its own."""

    address: str
    folder: Path

    @contextmanager
    def worker(self, preload: str = "") -> Iterator[subprocess.Popen[bytes]]:
        """A worker with one thread and no nanny, which would start it again."""
        options = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(self.folder)]
        if preload:
            (self.folder / f"preload_{len(preload)}.py").write_text(preload)
            options += ["--preload", str(self.folder / f"preload_{len(preload)}.py")]
        with running("worker", self.address, *options) as process:
            yield process


@contextmanager
def running(kind: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-W", "ignore", "-m", "dask", kind, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory) -> Iterator[Scheduler]:
    folder = tmp_path_factory.mktemp("scheduler")
    file = folder / "scheduler.json"
    with running("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)):
        until = time.monotonic() + 60
        while not (found := re.search(r'"address":\s*"([^"]+)"', file.read_text() if file.exists() else "")):
            assert time.monotonic() < until, "the scheduler did not start"
            time.sleep(0.05)
        yield Scheduler(found[1], folder)


@pytest.fixture
def scenes(site) -> list[SceneRecord]:
    days = ("2023-08-10", "2023-08-15")
    return [site.scene(day, seed, hole=slice(100, 300)) for seed, day in enumerate(days)]


def outcome_of(site, dask: str, name: str, scenes: list[SceneRecord]):
    """Build scenes into a data root of their own."""
    here = replace(
        site,
        collection=site.collection.model_copy(update={"dask": dask}),
        paths=CollectionPaths(site.paths.folder.parent / name, "scenes"),
    )
    here.land_cover()
    here.paths.catalog.write_bytes(site.paths.catalog.read_bytes())
    here.inventory(*scenes)
    return here, build_cube(here.collection, here.paths, "33TWL")


def require_same(first, second) -> None:
    (here, outcome), (there, other) = first, second
    assert outcome.data_version == other.data_version
    one, two = open_cube(here.paths.cube("33TWL")), open_cube(there.paths.cube("33TWL"))
    assert one.identical(two)
    assert np.array_equal(one["reflectance"].values, two["reflectance"].values)
    index = [pd.read_parquet(place.paths.tiles("33TWL")) for place in (here, there)]
    pd.testing.assert_frame_equal(*index)


def test_processes_make_the_cube_that_threads_make(site, scenes):
    before = dict(os.environ)
    require_same(outcome_of(site, "threads", "a", scenes), outcome_of(site, "processes", "b", scenes))
    # Dask sets OMP_NUM_THREADS=1 for its processes: a training started afterwards must not inherit it
    assert dict(os.environ) == before


def test_two_workers_reached_by_address_make_the_cube_that_threads_make_though_one_is_killed(site, scheduler, scenes):
    plain = outcome_of(site, "threads", "a", scenes)
    with scheduler.worker(SLOW), scheduler.worker(DIES) as victim:
        wait_for(scheduler, 2)
        distributed = outcome_of(site, scheduler.address, "b", scenes)
        assert victim.wait(10) == -signal.SIGKILL
    require_same(plain, distributed)


def test_a_scene_that_a_worker_cannot_read_is_refused_and_the_others_go_on(site, scheduler):
    good, bad = site.scene("2023-08-10"), site.scene("2023-08-15", seed=1)
    site.inventory(good, bad)
    raster = Path(bad.bands["B02"].href)
    raster.write_bytes(raster.read_bytes()[: raster.stat().st_size // 2])
    collection = site.collection.model_copy(update={"dask": scheduler.address})
    with scheduler.worker():
        outcome = build_cube(collection, site.paths, "33TWL")
    assert (outcome.metadata["dates"], outcome.metadata["refused"]) == (1, 1)
    cube = site.paths.cube("33TWL")
    assert read_block(open_array(cube, "reflectance"), 0, 0, 0, (64, 64)).any()
    assert not (cube / "reflectance" / "c" / "1").exists()


def test_shards_that_a_worker_wrote_elsewhere_are_missed_before_the_commit(site, scheduler, monkeypatch):
    site.inventory(site.scene("2023-08-10"))
    collection = site.collection.model_copy(update={"dask": scheduler.address})
    # as on a host with a disk of its own: what workers write is not seen here
    monkeypatch.setattr("agri_assets.cube.scene_shards.size_of", lambda root: lambda file: None)
    with scheduler.worker(), pytest.raises(CubeError, match="all hosts must share the data root"):
        build_cube(collection, site.paths, "33TWL")
    assert not (site.paths.cube("33TWL") / "zarr.json").exists()


def test_a_mask_that_is_made_here_is_refused_where_workers_do_not_see_it(site, scheduler, monkeypatch):
    site.inventory(site.scene("2023-08-10"))
    clouds = site.collection.clouds.model_copy(update={"mask": "omnicloudmask"})
    monkeypatch.setattr("agri_assets.cube.update.with_mask", lambda wanted, _: wanted)
    collection = site.collection.model_copy(update={"dask": scheduler.address, "clouds": clouds})
    with scheduler.worker(), pytest.raises(CubeError, match=r"mask.*made on this machine"):
        build_cube(collection, site.paths, "33TWL")


def test_a_scheduler_without_workers_is_named(site, scheduler, monkeypatch, scenes):
    monkeypatch.setattr(cluster, "CONNECT_S", 1.0)
    with pytest.raises(CubeError, match=f"{scheduler.address}: has no workers; start some"):
        outcome_of(site, scheduler.address, "a", scenes)


def test_a_scheduler_that_does_not_answer_is_named_in_one_line(site, monkeypatch, scenes):
    monkeypatch.setattr(cluster, "CONNECT_S", 1.0)
    with pytest.raises(CubeError, match=r"^tcp://127.0.0.1:9: no Dask scheduler answers") as caught:
        outcome_of(site, "tcp://127.0.0.1:9", "a", scenes)
    assert "\n" not in str(caught.value)


def test_all_workers_lost_ends_the_build_instead_of_waiting_for_ever(site, scheduler, monkeypatch, scenes):
    monkeypatch.setattr(cluster, "WORKERLESS_S", 2.0)
    with scheduler.worker(DIES), pytest.raises(CubeError, match="has had no worker"):
        outcome_of(site, scheduler.address, "a", scenes)


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (delayed(os.stat)("/nowhere"), "FileNotFoundError: .*'/nowhere'"),
        (delayed(exec)("raise TimeoutError('x')"), "x"),
    ],
)
def test_what_a_workers_system_refuses_is_not_taken_for_the_loss_of_the_scheduler(scheduler, task, said):
    refused = pytest.raises(CubeError, match=f"a worker failed .*{said}.*; mend that host")
    with scheduler.worker(), cluster.cluster_at(scheduler.address) as workers, refused:
        workers.run([task], "a test", print)


def test_what_a_worker_could_not_read_is_tried_again(site, scheduler, scenes):
    collection = site.collection.model_copy(update={"dask": scheduler.address})
    site.inventory(*scenes)
    raster = Path(scenes[1].bands["B02"].href)
    whole = raster.read_bytes()
    with scheduler.worker():
        raster.write_bytes(whole[: len(whole) // 2])
        assert build_cube(collection, site.paths, "33TWL").metadata["dates"] == 1
        # as a host whose disk was mounted again
        raster.write_bytes(whole)
        assert build_cube(collection, site.paths, "33TWL").metadata["dates"] == 2
    assert build_cube(collection, site.paths, "33TWL").reused


def versions(**changes: str) -> dict[str, dict[str, str]]:
    return {"packages": {"python": "3.11.7.final.0", **dict.fromkeys(PACKAGES, "1.0"), **changes}}


def test_workers_of_other_versions_are_refused_in_one_line():
    same = {"client": versions(), "workers": {"tcp://a:1": versions(python="3.11.9.final.0")}}
    require_same_versions(same, "tcp://s:1")
    other = {"client": versions(), "workers": {"tcp://a:1": versions(), "tcp://b:1": versions(zarr="0.9")}}
    with pytest.raises(CubeError, match=r"worker tcp://b:1 has zarr 0\.9 \(here 1\.0\); install") as caught:
        require_same_versions(other, "tcp://s:1")
    assert "\n" not in str(caught.value)
    with pytest.raises(CubeError, match=r"python 3\.12 \(here 3\.11\)"):
        require_same_versions({"client": versions(), "workers": {"x": versions(python="3.12.1")}}, "tcp://s:1")


@pytest.mark.parametrize("value", ["thread", "localhost:8786", "tcp://"])
def test_another_place_is_refused(site, value):
    with pytest.raises(ValueError, match="dask"):
        Collection.model_validate({**site.collection.model_dump(), "dask": value})


def wait_for(scheduler: Scheduler, workers: int) -> None:
    with cluster.Client(scheduler.address) as client:
        client.wait_for_workers(workers, timeout=60)
