"""Half-made files: those of killed processes are found and removed, those of living ones are left alone."""

import multiprocessing
import os

import pytest

from agri_assets.objects import ObjectPath
from agri_assets.store import orphans
from agri_assets.store.commit import staged, write_text
from agri_assets.store.orphans import find_orphans


def _stage(target, at_work, folder):
    with staged(target) as staging:
        if folder:
            staging.mkdir()
        (staging / "part" if folder else staging).write_text("half")
        at_work.set()
        multiprocessing.Event().wait(60)


@pytest.fixture
def stage():
    """Starts a process that stages a file or a folder and goes on for ever."""
    context, started = multiprocessing.get_context("spawn"), []

    def start(target, folder=False):
        at_work = context.Event()
        process = context.Process(target=_stage, args=(target, at_work, folder))
        process.start()
        started.append(process)
        assert at_work.wait(60)
        return process

    yield start
    for process in started:
        process.kill()
        process.join(60)


@pytest.mark.parametrize("folder", [False, True])
def test_what_a_killed_process_left_is_found_and_removed(tmp_path, stage, folder):
    target = tmp_path / "sample" / "maps" / "31TCJ.tif"
    write_text(target.with_name("other.tif"), "kept")
    process = stage(target, folder)
    assert find_orphans(tmp_path) == []
    process.kill()
    process.join(60)
    (orphan,) = find_orphans(tmp_path)
    assert (orphan.path.parent, orphan.size) == (target.parent, len("half"))
    assert orphan.remove()
    assert os.listdir(target.parent) == ["other.tif"]
    assert find_orphans(tmp_path) == []


def test_what_lies_beside_a_writer_at_work_is_left_alone(tmp_path, stage):
    process = stage(tmp_path / "one")
    process.kill()
    process.join(60)
    (orphan,) = find_orphans(tmp_path)
    stage(tmp_path / "two")
    assert find_orphans(tmp_path) == []
    assert not orphan.remove()
    assert orphan.path.exists()


def test_an_orphan_that_is_gone_with_its_folder_is_no_error(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".staging-0123abcd-file").write_text("half")
    (orphan,) = find_orphans(tmp_path)
    orphan.path.unlink()
    folder.rmdir()
    assert orphan.remove()


def test_what_was_made_for_object_storage_is_looked_for_among_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = tmp_path / "agri-staging-abc"
    left.mkdir()
    (left / "31TCJ.tif").write_text("half")
    (tmp_path / "of-others").mkdir()
    root = ObjectPath("s3://bucket/prefix")
    assert find_orphans(root) == []  # too young to be judged
    monkeypatch.setattr(orphans, "YOUNG_S", -1.0)
    (orphan,) = find_orphans(root)
    assert orphan.path == left
    assert orphan.remove()
    assert os.listdir(tmp_path) == ["of-others"]
