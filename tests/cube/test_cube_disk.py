"""A full or read-only disk: one line that names the file, the cube as it was, and the same data once there is space."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from agri_assets.cube.build import build_cube
from agri_assets.cube.patrol import check_cube
from agri_assets.cube.verify import verify_cube
from agri_assets.errors import StoreError
from agri_assets.store.layout import CollectionPaths
from tests.cube.killing import WAYS, Builder, builder, look, orphans
from tests.cube.materializing import materialize
from tests.cube.test_cube_kills import TILE, World, a_better_scene

FULL = 1 << 20
PLENTY = 64 << 20


class Disk:
    """A small file system of its own in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def resize(self, size: int, *options: str) -> None:
        settings = ",".join(["remount", f"size={size}", *options])
        subprocess.run(["mount", "-o", settings, str(self.folder)], check=True)


@pytest.fixture
def disk(tmp_path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={PLENTY}", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        if os.environ.get("CI"):
            pytest.fail(f"cannot mount a small file system in CI: {done.stderr}")
        pytest.skip(f"needs the right to mount a small file system: {done.stderr.strip()}")
    yield Disk(folder)
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="module")
def builds(tmp_path_factory) -> Iterator[Builder]:
    with builder(tmp_path_factory.mktemp("builder")) as process:
        yield process


@pytest.fixture
def world(small, builds, tmp_path) -> World:
    return World(small, builds, tmp_path, tmp_path / "pointer")


def fill(world: World, disk: Disk, step: int) -> str | None:
    """Append while the disk becomes full before a step, then with space; returns what was told of the full disk."""
    paths = CollectionPaths(disk.folder / "data", world.site.paths.collection)
    shutil.rmtree(paths.root, ignore_errors=True)
    shutil.copytree(world.site.paths.root, paths.root)
    filler = disk.folder / "filler"
    answer = world.builds.build(world.site.collection, paths.root, TILE, step, str(filler))
    for way in WAYS:
        assert look(way, paths.cube(TILE), world.allowed, world.least)
    error = answer.get("error")
    if error:
        assert error.startswith(f"StoreError: {paths.folder}/"), error
        assert "its disk is full; free space and run again" in error
        assert "\n" not in error
        assert verify_cube(paths.cube(TILE)) == []
    filler.unlink(missing_ok=True)
    assert world.build(paths.root)["version"] == world.version
    assert orphans(paths, TILE) == []
    return error


def test_a_disk_that_fills_up(world, disk):
    a_better_scene(world)
    steps = len(world.steps)
    assert all(fill(world, disk, step) for step in (1, steps // 3, 2 * steps // 3))


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_disk_that_fills_up_at_any_step(world, disk):
    a_better_scene(world)
    told = [error for step in range(1, len(world.steps) + 1) if (error := fill(world, disk, step))]
    names = {error.split(": cannot be written")[0].rpartition("/")[2] for error in told}
    slot = {f"slot-00001.{kind}" for kind in ("json", "parquet", "png")}
    assert {f"{TILE}.parquet", f"{TILE}.json", "zarr.json", *slot} <= names, names
    # shards
    assert names & {"0", "1"}, names
    print(f"full at each of {len(world.steps)} steps, {len(told)} times in the way, at {', '.join(sorted(names))}")


def test_a_read_only_disk(small, disk):
    scene = small.scene("2023-08-10", seed=1)
    small.inventory(scene)
    first = build_cube(small.collection, small.paths, TILE)
    shutil.copytree(small.paths.root, disk.folder / "data")
    paths = CollectionPaths(disk.folder / "data", small.paths.collection)
    disk.resize(PLENTY, "ro")
    # what is done already needs no writing
    again = build_cube(small.collection, paths, TILE)
    assert again.reused
    assert again.data_version == first.data_version
    assert check_cube(paths.cube(TILE), written=0).problems == ()
    assert verify_cube(paths.cube(TILE)) == []
    changed = small.collection.model_copy(update={"clouds": small.collection.clouds.model_copy(update={"dilate_m": 1})})
    message = rf"^{disk.folder}/.*: cannot be written \(Read-only file system\); .*AGRI_DATA_ROOT$"
    with pytest.raises(StoreError, match=message):
        build_cube(changed, paths, TILE)


def test_dagster_tells_of_a_full_disk_in_one_line(small, disk):
    small.inventory(small.scene("2023-08-10", seed=1))
    shutil.copytree(small.paths.root, disk.folder / "data")
    disk.resize(FULL)
    with pytest.raises(dg.Failure, match="its disk is full; free space and run again") as caught:
        materialize(small, disk.folder / "data")
    assert "\n" not in str(caught.value.description)
    disk.resize(PLENTY)
    assert materialize(small, disk.folder / "data").success
