"""A cube build killed at random instants: readers see only whole dates, and the finished cube is the unharmed one."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
import xarray as xr

from agri_assets.config import Collection
from agri_assets.cube.build import build_cube
from agri_assets.cube.index import read_index
from agri_assets.cube.open import cube_info, open_cube
from agri_assets.cube.verify import verify_cube
from agri_assets.labels.land_cover import build_land_cover
from agri_assets.scenes.catalog import build_catalog
from agri_assets.scenes.inventory import take_inventory
from agri_assets.store.layout import CollectionPaths
from tests.cube.killing import WAYS, digest, look, orphans, watched

pytestmark = pytest.mark.e2e

TILE = "31TCJ"
LABELS = {"kind": "worldcover"}
BUILD = """
import sys
from pathlib import Path
from agri_assets.config import Collection
from agri_assets.cube.build import build_cube
from agri_assets.store.layout import CollectionPaths
print("ready", flush=True)
build_cube(Collection.model_validate_json(sys.argv[1]), CollectionPaths(Path(sys.argv[2]), "sample"), sys.argv[3])
"""


def ingested(root, dask: str) -> tuple[Collection, CollectionPaths]:
    source = {"kind": "sample", "tiles": [TILE], "dates": 3, "cloudy_dates": 1, "size": 1152, "path": root / "scenes"}
    collection = Collection.model_validate(
        {
            "name": "sample",
            "dask": dask,
            "source": source,
            "bands": ["B02", "B08", "B11"],
            "labels": {"kind": "worldcover"},
        }
    )
    paths = CollectionPaths(root / "data", "sample")
    build_catalog(collection, paths)
    take_inventory(collection, paths, TILE)
    build_land_cover(collection, paths, TILE)
    return collection, paths


def killed_build(collection: Collection, paths: CollectionPaths, delay: float) -> bool:
    """Start a build in a process of its own and kill it after `delay` seconds; whether it was still at work.

    Of a build by several processes only the first is killed: the others must end by themselves, and write nothing more.
    """
    command = [sys.executable, "-c", BUILD, collection.model_dump_json(), str(paths.root), TILE]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(delay)
    alive = process.poll() is None
    if alive:
        kill = os.kill if collection.dask == "processes" else os.killpg
        kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    return alive


def known(paths: CollectionPaths) -> dict[str, set[str]]:
    """Digests of the pixels of a cube's dates."""
    dataset = open_cube(paths.cube(TILE))
    days = [str(day)[:10] for day in dataset["time"].values]
    return {day: {digest(dataset["reflectance"][number].values)} for number, day in enumerate(days)}


class Harmed:
    """A data root whose cube is built and killed until it is whole, and then another one."""

    def __init__(self, collection: Collection, prepared: CollectionPaths, pointer) -> None:
        self.collection, self.prepared, self.pointer = collection, prepared, pointer
        self.count = self.whole = 0
        self.begin()

    def begin(self) -> None:
        self.count, self.seen = self.count + 1, 0
        root = self.prepared.root.with_name(f"harmed-{self.count}")
        shutil.copytree(self.prepared.root, root)
        self.paths = CollectionPaths(root, self.prepared.collection)
        self.pointer.with_suffix(".new").write_text(str(self.paths.cube(TILE)))
        self.pointer.with_suffix(".new").replace(self.pointer)

    def strike(self, delay: float, allowed: dict[str, set[str]]) -> bool:
        struck = killed_build(self.collection, self.paths, delay)
        there = [look(way, self.paths.cube(TILE), allowed, set()) for way in WAYS]
        dates = len(cube_info(self.paths.cube(TILE)).slots) if any(there) else 0
        assert dates >= self.seen
        self.seen = dates
        return struck

    def end(self, version: str, unharmed: CollectionPaths) -> None:
        """The next build completes it to what an unharmed one made."""
        assert build_cube(self.collection, self.paths, TILE).data_version == version
        xr.testing.assert_equal(open_cube(self.paths.cube(TILE)).load(), open_cube(unharmed.cube(TILE)).load())
        ours, theirs = (read_index(paths.tiles(TILE)).drop(columns="slot") for paths in (self.paths, unharmed))
        assert ours.equals(theirs)
        assert verify_cube(self.paths.cube(TILE)) == []
        assert orphans(self.paths, TILE) == []
        self.whole += 1


def kills(tmp_path, count: int, dask: str = "threads") -> None:
    collection, prepared = ingested(tmp_path, dask)
    unharmed = CollectionPaths(tmp_path / "unharmed", prepared.collection)
    shutil.copytree(prepared.root, unharmed.root)
    started = time.monotonic()
    expected = build_cube(collection, unharmed, TILE)
    length = time.monotonic() - started
    allowed, chance, struck = known(unharmed), random.Random(count), 0
    harmed = Harmed(collection, prepared, tmp_path / "pointer")
    with watched(tmp_path / "pointer", allowed, set()):
        while struck < count:
            struck += harmed.strike(chance.uniform(0, length), allowed)
            if harmed.seen == 3:
                harmed.end(expected.data_version, unharmed)
                harmed.begin()
        harmed.end(expected.data_version, unharmed)
    print(f"{struck} builds by {dask} killed at work; each of {harmed.whole} finished cubes equals the unharmed one")


def test_a_few_kills(tmp_path):
    kills(tmp_path, 2)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_many_kills(tmp_path):
    kills(tmp_path, 30)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_many_kills_of_a_build_by_processes(tmp_path):
    kills(tmp_path, 10, "processes")
