import json
import multiprocessing
import os
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agri_assets.errors import StoreError
from agri_assets.store.commit import STAGING_PREFIX, locked, read_json, staged, write_bytes, write_json, write_text


def _leftovers(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(STAGING_PREFIX)]


def test_a_file_appears_whole(tmp_path):
    target = tmp_path / "deep" / "file.bin"
    write_bytes(target, b"new")
    assert target.read_bytes() == b"new"
    assert _leftovers(target.parent) == []


def test_a_failure_keeps_the_old_file_and_leaves_nothing(tmp_path):
    target = tmp_path / "file.txt"
    write_text(target, "old")

    def fail():
        with staged(target) as staging:
            staging.write_text("half")
            assert target.read_text() == "old"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_a_failure_leaves_no_folder(tmp_path):
    def fail():
        with staged(tmp_path / "folder") as staging:
            staging.mkdir()
            (staging / "part").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert os.listdir(tmp_path) == []


def test_a_folder_replaces_a_folder(tmp_path):
    target = tmp_path / "folder"
    for content in ("one", "two"):
        with staged(target) as staging:
            staging.mkdir()
            (staging / content).write_text(content)
    assert os.listdir(target) == ["two"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), staged(tmp_path / "file"):
        pass
    assert os.listdir(tmp_path) == []


@settings(max_examples=30)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner), max_leaves=9))
def test_json_comes_back(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("json") / "value.json"
    write_json(path, value)
    assert read_json(path) == value


def test_nan_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "value.json", {"score": float("nan")})
    assert os.listdir(tmp_path) == []


def test_what_is_no_json_is_told(tmp_path):
    path = tmp_path / "value.json"
    with pytest.raises(StoreError, match="no such file"):
        read_json(path)
    path.write_text("{half")
    with pytest.raises(StoreError, match=r"value\.json: not valid JSON"):
        read_json(path)
    path.write_text(json.dumps([1]))
    assert read_json(path) == [1]


def _hold(target, held, done):
    with locked(target, "the other"):
        held.set()
        done.wait(20)


def test_a_lock_held_by_another_process_is_refused_and_freed_with_it(tmp_path):
    context = multiprocessing.get_context("spawn")
    held, done = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path / "run", held, done))
    other.start()
    assert held.wait(20)

    def take():
        with locked(tmp_path / "run", "run abc"):
            return True

    who = rf"another process \(number {other.pid}\)" if sys.platform == "linux" else "another process"
    told = f"run abc is in use by {who}"
    with pytest.raises(StoreError, match=told):
        take()
    other.kill()
    other.join(20)
    assert take()


def test_a_file_never_replaces_a_folder(tmp_path):
    folder = tmp_path / "precious"
    folder.mkdir()
    (folder / "data.txt").write_text("kept")
    with pytest.raises(StoreError, match="is a folder, not a file to write"):
        write_text(folder, "new")
    assert (folder / "data.txt").read_text() == "kept"
    assert _leftovers(tmp_path) == []
