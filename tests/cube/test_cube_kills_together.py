"""Two builds at once, and all else that people do while a cube is built: on disk and in object storage."""

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from agri_assets.cube import commit, desk, scene_shards, slots
from agri_assets.cube.build import build_cube
from agri_assets.cube.export import export_cog
from agri_assets.cube.open import cube_info
from agri_assets.cube.verify import verify_cube
from agri_assets.errors import CubeError, StoreError
from agri_assets.objects import locate
from agri_assets.scenes.inventory import read_inventory
from agri_assets.store import lease
from agri_assets.store.commit import Guarded, json_bytes, read_json, write_json, write_text
from agri_assets.store.layout import CollectionPaths
from tests.cube.killing import Builder, builder, orphans, watched
from tests.cube.test_cube_kills import TILE, World, an_append

OTHER_TILE = "33TWM"


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Iterator[list[Builder]]:
    """Builders of two processes."""
    with ExitStack() as stack:
        folders = [tmp_path_factory.mktemp(f"builder{number}") for number in range(2)]
        yield [stack.enter_context(builder(folder)) for folder in folders]


def both(two, collection, root, *tiles):
    """Build two tiles, or one of them twice, at the same time."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda one, tile: one.build(collection, root, tile), two, tiles))


def one_wins(answers, version: str) -> None:
    """Whoever comes second is refused in one line, or finds the work done."""
    assert any(answer.get("version") == version for answer in answers), answers
    for answer in answers:
        error = answer.get("error")
        assert answer.get("version") == version or "is in use by " in error, answer
        assert error is None or (error.startswith("StoreError: the cube of 33TWL") and "\n" not in error)


def test_two_builds_of_one_tile(small, two, tmp_path):
    world = World(small, two[0], tmp_path, tmp_path / "pointer")
    old, new = small.scene("2023-08-10", seed=1), small.scene("2023-08-15", seed=2)
    world.prepare([old], [old, new])
    with watched(world.pointer, world.allowed, world.least):
        paths = world.copy()
        one_wins(both(two, small.collection, paths.root, TILE, TILE), world.version)
    assert world.build(paths.root)["version"] == world.version
    assert orphans(paths, TILE) == []


def test_two_tiles_of_one_collection(small, two):
    small.inventory(small.scene("2023-08-10", seed=1), small.scene("2023-08-15", seed=2))
    paths = small.paths
    inventory = read_inventory(paths, TILE).model_copy(update={"tile": OTHER_TILE})
    write_text(paths.inventory(OTHER_TILE), inventory.model_dump_json())
    shutil.copy(paths.land_cover(TILE), paths.land_cover(OTHER_TILE))
    for asset in ("raw_scenes", "land_cover"):
        shutil.copy(paths.receipt(asset, TILE), paths.receipt(asset, OTHER_TILE))
    assert all("version" in answer for answer in both(two, small.collection, paths.root, TILE, OTHER_TILE))
    for tile in (TILE, OTHER_TILE):
        assert verify_cube(paths.cube(tile)) == []
        assert orphans(paths, tile) == []


def test_verify_and_export_while_a_cube_is_built(small, two, tmp_path):
    world = World(small, two[0], tmp_path, tmp_path / "pointer")
    an_append(world)
    paths, ended = world.copy(), threading.Event()

    def look_at_it() -> int:
        rounds = 0
        while not ended.is_set() or not rounds:
            assert verify_cube(paths.cube(TILE)) == []
            export_cog(paths.cube(TILE), "2023-08-10", tmp_path / "out.tif")
            rounds += 1
        return rounds

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look_at_it)
        answer = world.build(paths.root)
        ended.set()
        assert looking.result() > 0
    assert answer["version"] == world.version


def test_a_task_of_a_build_that_was_killed_writes_nothing(small, monkeypatch):
    """Dask's workers outlive the build that sent them a task, and another build may have begun meanwhile."""
    small.inventory(small.scene("2023-08-10", seed=1))
    late: list[object] = []

    def keep(job, *place):
        if not late:
            late.append((job, *place))
        return real(job, *place)

    real = scene_shards._build_shard
    with monkeypatch.context() as patch:
        patch.setattr(scene_shards, "_build_shard", keep)
        build_cube(small.collection, small.paths, TILE)
    cube = small.paths.cube(TILE)
    for claim in ("", "another build"):
        if claim:
            commit.claim_path(cube).write_text(claim)
        with pytest.raises(CubeError, match="a build that has ended writes nothing"):
            real(*late[0])
    assert verify_cube(cube) == []
    desk.leave(late[0][0].name)
    commit.clear_uncommitted(cube)
    assert not commit.claim_path(cube).exists()


@pytest.fixture
def remote(small, object_storage, tmp_path) -> CollectionPaths:
    """The small site in object storage, with two scenes."""
    small.inventory(small.scene("2023-08-10", seed=1), small.scene("2023-08-15", seed=2))
    paths = CollectionPaths(locate("s3://bucket/together"), small.paths.collection)
    for file in (item for item in small.paths.folder.rglob("*") if item.is_file()):
        (paths.folder / file.relative_to(small.paths.folder).as_posix()).write_bytes(file.read_bytes())
    return paths


def test_two_builds_in_object_storage(small, remote, tmp_path):
    with ExitStack() as stack:
        # with the server's address in their environment
        two = [stack.enter_context(builder(tmp_path)) for _ in range(1)]
        (tmp_path / "other").mkdir()
        two.append(stack.enter_context(builder(tmp_path / "other")))
        answers = both(two, small.collection, remote.root, TILE, TILE)
    version = build_cube(small.collection, small.paths, TILE).data_version
    one_wins(answers, version)
    assert build_cube(small.collection, remote, TILE).data_version == version
    assert verify_cube(remote.cube(TILE)) == []


def test_a_newer_root_is_never_replaced(small, remote, monkeypatch):
    """Whoever lost its lease without knowing it comes with its commit when another process has committed."""
    root, theirs = remote.cube(TILE) / "zarr.json", []
    real = slots.write_manifest

    def meanwhile(path, manifest):
        real(path, manifest)
        theirs.append(b"another process's root " + str(path).encode())
        root.write_bytes(theirs[-1])

    with monkeypatch.context() as patch:
        patch.setattr(slots, "write_manifest", meanwhile)
        patch.setattr(commit, "read_json", lambda path: None)
        patch.setattr(slots, "clear_uncommitted", lambda cube: None)
        with pytest.raises(StoreError, match=r"zarr\.json: not written, since another process has replaced it"):
            build_cube(small.collection, remote, TILE)
    assert root.read_bytes() == theirs[0]
    assert not (remote.cube(TILE) / "reflectance" / "zarr.json").exists()


def test_a_build_whose_lease_was_taken_over_commits_nothing(small, remote, monkeypatch):
    for name, seconds in (("EXPIRY_S", 30.0), ("BEAT_S", 0.1)):
        monkeypatch.setattr(lease, name, seconds)
    root, lock = remote.cube(TILE) / "zarr.json", remote.cube(TILE).with_name(f".{TILE}.zarr.lock")
    real = slots.build_slot

    def slow(*arguments):
        pixels = real(*arguments)
        if arguments[2] == 1:
            write_json(lock, {"host": "elsewhere", "pid": 7, "name": "other", "beat": 1})
            while not any(held.lost for held in lease._held):
                pass
        return pixels

    with monkeypatch.context() as patch:
        patch.setattr(slots, "build_slot", slow)
        with pytest.raises(StoreError, match="not written, since another process took over"):
            build_cube(small.collection, remote, TILE)
    assert [slot.date for slot in cube_info(remote.cube(TILE)).slots] == ["2023-08-10"]
    assert read_json(lock)["host"] == "elsewhere"
    lock.unlink()
    assert root.exists()
    again = build_cube(small.collection, remote, TILE)
    assert again.data_version == build_cube(small.collection, small.paths, TILE).data_version


def test_a_process_that_slept_longer_than_its_lease_writes_nothing(object_storage, monkeypatch):
    target = locate("s3://bucket/x")
    held = lease.Lease(target.with_name(".x.lock"))
    held.acquire("it", 0)
    lease._held.add(held)
    try:
        lease.require_leases(target)
        now = lease.clock()
        monkeypatch.setattr(lease, "clock", lambda: now + lease.EXPIRY_S + 1)
        with pytest.raises(StoreError, match="not written"):
            lease.require_leases(target)
    finally:
        lease._held.discard(held)


def test_a_guarded_object_is_replaced_only_as_it_was_found(object_storage):
    path = locate("s3://bucket/guarded.json")
    ours, theirs = Guarded.found(path), Guarded.found(path)
    ours.replace(json_bytes([1]))
    ours.replace(json_bytes([2]))
    with pytest.raises(StoreError, match="another process has replaced it"):
        theirs.replace(json_bytes([3]))
    # an answer that was lost, so that we ask again
    late = Guarded(path, "the tag before")
    late.replace(json_bytes([2]))
    late.replace(json_bytes([4]))
    assert read_json(path) == [4]
    with pytest.raises(StoreError, match="another process has replaced it"):
        ours.replace(json_bytes([5]))
    assert read_json(path) == [4]


def test_a_guarded_file_is_replaced(tmp_path):
    root = Guarded.found(tmp_path / "root.json")
    for number in range(2):
        root.replace(json_bytes(number))
    assert read_json(Path(root.path)) == 1
