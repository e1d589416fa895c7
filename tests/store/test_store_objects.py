"""Paths, commits, locks and receipts in object storage, against moto's S3 server."""

import json
import multiprocessing
import os
import pickle
import shutil
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from agri_assets.buckets import open_bucket
from agri_assets.errors import StoreError
from agri_assets.objects import REQUESTS, ObjectPath, each, file_of, local_copy, locate, remove_folder
from agri_assets.store import lease
from agri_assets.store.commit import locked, read_json, staged, write_bytes, write_json
from agri_assets.store.fingerprint import file_digest, fingerprint
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, find_outcome, read_outcome, write_outcome

ROOT = ObjectPath("s3://bucket/some/root")


def test_a_path_is_built_and_taken_apart_like_one_on_disk():
    path = CollectionPaths(ROOT, "sample").tiles("33TWL")
    assert str(path) == f"{path}" == "s3://bucket/some/root/sample/tiles/33TWL.parquet"
    assert (path.key, path.name, path.suffix) == ("some/root/sample/tiles/33TWL.parquet", "33TWL.parquet", ".parquet")
    assert str(path.with_suffix(".png").parent.parent) == "s3://bucket/some/root/sample"
    assert str(path.with_name("a.json")) == "s3://bucket/some/root/sample/tiles/a.json"
    assert ROOT in path.parents
    assert pickle.loads(pickle.dumps(path)) == path == locate(str(path))
    assert fingerprint(path=path) == fingerprint(path=str(path))
    assert path.absolute() == path
    assert locate("data/x") == Path("data/x")


def test_it_is_never_taken_for_a_local_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for act in (
        lambda: Path.open(ROOT),
        lambda: os.listdir(ROOT),
        lambda: shutil.rmtree(ROOT),
        lambda: ROOT.rename("a"),
    ):
        with pytest.raises(StoreError, match=r"s3://bucket/some/root: is in object storage"):
            act()
    assert os.listdir(tmp_path) == []


def test_objects_and_folders(object_storage):
    assert not ROOT.exists()
    assert list(ROOT.iterdir()) == []
    write_bytes(ROOT / "cube" / "a.zarr" / "zarr.json", b"{}")
    write_bytes(ROOT / "cube" / "b.txt", b"text")
    (ROOT / "cube2").write_text("beside")
    assert [path.name for path in (ROOT / "cube").iterdir()] == ["a.zarr", "b.txt"]
    assert list((ROOT / "cube").glob("*.zarr")) == [ROOT / "cube" / "a.zarr"]
    assert (ROOT / "cube").is_dir()
    assert not (ROOT / "cube").is_file()
    assert not (ROOT / "cube" / "b.txt").is_dir()
    path = ROOT / "cube" / "b.txt"
    assert path.stat().st_size == 4
    assert abs(path.stat().st_mtime - time.time()) < 5
    assert path.read_text() == path.open().read() == "text"
    with local_copy(path) as copy:
        assert file_digest(copy) == file_digest(path)
    assert file_of(path).read() == b"text"
    path.unlink()
    path.unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError):
        path.unlink()
    with pytest.raises(FileNotFoundError, match=str(path)):
        path.read_bytes()
    remove_folder(ROOT / "cube")
    remove_folder(ROOT / "cube")
    assert [path.name for path in ROOT.iterdir()] == ["cube2"]


def test_a_bucket_that_is_not_there_is_one_line(object_storage):
    with pytest.raises(StoreError, match=r"^s3://nobucket/a: .*create the bucket 'nobucket' first"):
        write_bytes(ObjectPath("s3://nobucket/a"), b"")
    with pytest.raises(StoreError, match="create the bucket"), locked(ObjectPath("s3://nobucket/a"), "it"):
        pass


def test_a_server_that_never_answers_is_one_line(object_storage, monkeypatch):
    object_storage.busy.value = 1
    monkeypatch.setattr("agri_assets.buckets.RETRIES", 1)
    with pytest.raises(StoreError, match=r"^s3://bucket/some/root: .*check AWS_ENDPOINT_URL") as caught:
        ROOT.read_bytes()
    assert "\n" not in str(caught.value)


def test_a_file_that_fails_leaves_what_was_there(object_storage):
    def fail():
        with staged(ROOT / "f.txt") as staging:
            staging.write_text("half")
            raise RuntimeError

    write_bytes(ROOT / "f.txt", b"old")
    with pytest.raises(RuntimeError):
        fail()
    assert (ROOT / "f.txt").read_text() == "old"
    with pytest.raises(StoreError, match="materialise what writes it first"):
        read_json(ROOT / "missing.json")


def test_a_folder_is_replaced_whole_and_its_commit_object_comes_last(object_storage):
    for names in (("a/x", "a/old", "zarr.json"), ("a/x", "a/new", "zarr.json")):
        object_storage.forget()
        with staged(ROOT / "f.zarr") as staging:
            for name in names:
                (staging / name).parent.mkdir(parents=True, exist_ok=True)
                (staging / name).write_text(name)
            assert not object_storage.requests
    assert sorted((ROOT / "f.zarr").below()) == ["a/new", "a/x", "zarr.json"]
    written = [request for request in object_storage.requests if request.startswith(("PUT", "POST"))]
    # two deletions, the commit object and the stale one, before anything is put
    assert [request.split()[0] for request in written] == ["POST", "POST", "PUT", "PUT", "PUT"]
    assert written[-1].endswith("f.zarr/zarr.json")


def test_large_objects_go_in_parts(object_storage):
    content = os.urandom(12 << 20)
    write_bytes(ROOT / "large.bin", content)
    assert (ROOT / "large.bin").read_bytes() == content
    assert any("POST" in request for request in object_storage.requests)


def test_a_copy_is_made_in_little_memory(object_storage, monkeypatch):
    content = os.urandom(48 << 20)
    write_bytes(ROOT / "large.bin", content)
    tracemalloc.start()
    with local_copy(ROOT / "large.bin") as copy:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert copy.read_bytes() == content
    assert peak < 12 << 20
    assert not copy.exists()
    with pytest.raises(FileNotFoundError, match="no such object"), local_copy(ROOT / "missing"):
        pass


def test_a_copy_that_the_disk_refuses_is_told_in_one_line(object_storage, tmp_path):
    write_bytes(ROOT / "large.bin", b"x" * 2**20)
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full, which only Linux has")
    with pytest.raises(StoreError, match=r"the copy of s3://\S+ cannot be written \(No space left") as caught:
        (ROOT / "large.bin").copy_to(Path("/dev/full"))
    assert "\n" not in str(caught.value)


def test_receipts_move_with_their_root(object_storage, tmp_path):
    folder = ROOT / "sample"
    outcome = Outcome(
        path=folder / "x.bin",
        fingerprint="1",
        data_version="2",
        summary="done",
        pictures={"a": folder / "receipts" / "a.png"},
        outputs=(folder / "x.bin", tmp_path / "local"),
    )
    receipt = folder / "receipts" / "x" / "33TWL.json"
    write_outcome(receipt, outcome)
    assert json.loads(receipt.read_text())["path"] == "../../x.bin"
    assert read_outcome(receipt) == outcome
    assert isinstance(read_outcome(receipt).path, ObjectPath)
    assert find_outcome(receipt, "1") is None
    write_bytes(folder / "x.bin", b"")
    (tmp_path / "local").touch()
    assert find_outcome(receipt, "1") == outcome.model_copy(update={"reused": True})
    # the trainer hands its result over in a local file
    write_outcome(tmp_path / "result.json", outcome)
    assert read_outcome(tmp_path / "result.json") == outcome


def _hold(target, taken, go):
    with locked(ObjectPath(target), "it"):
        taken.set()
        go.wait(60)


@pytest.fixture
def quick(monkeypatch):
    """Leases that live for a second."""
    for name, seconds in (("EXPIRY_S", 1.5), ("BEAT_S", 0.2), ("WATCH_S", 0.5), ("POLL_S", 0.05)):
        monkeypatch.setattr(lease, name, seconds)


def test_a_lock_excludes_another_process_and_a_killed_holder_is_followed(object_storage, quick):
    context = multiprocessing.get_context("spawn")
    taken, go = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(str(ROOT / "cube"), taken, go))
    holder.start()
    assert taken.wait(60)
    with (
        pytest.raises(StoreError, match=rf"it is in use by process {holder.pid} on ") as caught,
        locked(ROOT / "cube", "it"),
    ):
        pass
    assert "\n" not in str(caught.value)
    holder.kill()
    holder.join()
    started = time.monotonic()
    with locked(ROOT / "cube", "it"):
        assert time.monotonic() - started < 5
        assert (ROOT / ".cube.lock").exists()
    assert not (ROOT / ".cube.lock").exists()


def test_a_lock_is_waited_for(object_storage, quick):
    context = multiprocessing.get_context("spawn")
    taken, go = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(str(ROOT / "cube"), taken, go))
    holder.start()
    assert taken.wait(60)
    go.set()
    with locked(ROOT / "cube", "it", timeout_s=30):
        pass
    holder.join()
    assert holder.exitcode == 0


def _elsewhere(path, beats):
    """A lease of a process on another host."""
    write_json(path, {"host": "elsewhere", "pid": 7, "name": "other", "beat": beats})


def test_a_lease_of_another_host_is_taken_over_only_after_it_expired(object_storage, quick):
    _elsewhere(ROOT / ".cube.lock", 1)
    with pytest.raises(StoreError, match="process 7 on elsewhere"), locked(ROOT / "cube", "it"):
        pass
    with locked(ROOT / "cube", "it", timeout_s=10):
        assert read_json(ROOT / ".cube.lock")["pid"] == os.getpid()


def test_a_holder_whose_lease_was_taken_over_writes_nothing_more(object_storage, quick):
    def hold():
        with locked(ROOT / "cube", "it"):
            write_bytes(ROOT / "cube" / "a", b"")
            _elsewhere(ROOT / ".cube.lock", 1)
            time.sleep(3 * lease.BEAT_S)
            write_bytes(ROOT / "cube" / "b", b"")

    with pytest.raises(StoreError, match=r"cube/b: not written, since another process took over"):
        hold()
    assert (ROOT / "cube").below() == ("a",)
    # the other's lease stays, and what is not under the lost one may be written again
    assert read_json(ROOT / ".cube.lock")["host"] == "elsewhere"
    write_bytes(ROOT / "c", b"")


def test_a_lease_lives_longer_than_its_expiry(object_storage, quick):
    with locked(ROOT / "cube", "it"):
        time.sleep(2 * lease.EXPIRY_S)
        assert lease.Lease(ROOT / ".cube.lock")._look().age_s < lease.EXPIRY_S + 1
    assert not (ROOT / ".cube.lock").exists()


def test_a_busy_server_changes_nothing(object_storage, quick):
    object_storage.busy.value = 5
    with locked(ROOT / "cube", "it"):
        for number in range(20):
            write_bytes(ROOT / f"{number:02d}", b"x" * number)
    with staged(ROOT / "folder") as staging:
        staging.mkdir()
        (staging / "complete.json").write_text("{}")
    assert [len(path.read_bytes()) for path in ROOT.glob("??")] == list(range(20))
    assert sorted(path.name for path in ROOT.iterdir()) == [*(f"{number:02d}" for number in range(20)), "folder"]
    assert object_storage.refused > 10


def test_a_forked_process_refuses_instead_of_waiting_for_ever(object_storage):
    write_bytes(ROOT / "a", b"")
    child = os.fork()
    if child == 0:
        try:
            open_bucket("bucket")
        except StoreError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


def test_each_is_in_order_and_runs_only_a_little_ahead():
    begun, at_once = [], threading.Barrier(4)

    def read(number: int) -> int:
        if number < 4:
            # only passed by several at a time
            at_once.wait(20)
        return -number

    def items() -> Iterator[int]:
        for number in range(200):
            begun.append(number)
            yield number

    answers = each(ROOT, read, items())
    for number in range(200):
        assert next(answers) == -number
        assert len(begun) <= number + 2 * REQUESTS
    assert list(answers) == []
    assert list(each(ROOT, read, [])) == []


def test_each_raises_what_was_raised_when_its_turn_comes():
    answers = each(ROOT, lambda number: 1 // number, [1, 0, 1])
    assert next(answers) == 1
    with pytest.raises(ZeroDivisionError):
        next(answers)


def test_each_on_disk_asks_one_after_the_other_in_this_thread(tmp_path):
    asked = []
    answers = each(tmp_path, lambda number: asked.append((number, threading.current_thread())), [1, 2])
    next(answers)
    assert asked == [(1, threading.current_thread())]
