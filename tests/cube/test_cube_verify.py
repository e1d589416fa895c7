"""What is checked when: everything on demand, what a run wrote and a part of the rest each time; and what is mended."""

import logging
import shutil

import dagster as dg
import pytest

from agri_assets.cube import patrol, verify
from agri_assets.cube.archive import build_archive_cube
from agri_assets.cube.build import build_cube
from agri_assets.cube.manifest import samples_path
from agri_assets.cube.open import cube_info, open_cube, open_reflectance, read_block
from agri_assets.cube.patrol import check_cube
from agri_assets.cube.shards import shard_file
from agri_assets.cube.verify import verify_cube
from agri_assets.definitions import defs
from agri_assets.store.layout import ARCHIVE_TILE
from tests.cube.harms import flip, lose, truncate
from tests.cube.materializing import materialize

TILE = "33TWL"


HARMS = [flip, truncate, lose]


@pytest.fixture
def built(small):
    small.inventory(*(small.scene(f"2023-08-{day}", seed=day) for day in (10, 15, 20)))
    build_cube(small.collection, small.paths, TILE)
    return small.paths.cube(TILE)


def check_of(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (found,) = (check for check in result.get_asset_check_evaluations() if check.check_name == "checksums")
    return found


@pytest.mark.parametrize("harm", HARMS)
def test_the_asset_check_finds_damage_and_the_next_run_mends_exactly_that(small, built, harm):
    file = shard_file(built, cube_info(built), "reflectance", 1, 256, 0)
    harm(file)
    result = materialize(small, small.paths.root, fails=harm is flip)
    first = check_of(result)
    assert result.success == first.passed
    if harm is flip:
        # not to be seen from outside: the check reads it
        assert not first.passed
        assert first.blocking
        assert first.severity == dg.AssetCheckSeverity.ERROR
        assert "slot 1 (2023-08-15): reflectance at y=256, x=0 is damaged" in first.metadata["damage 1"].value
        assert "materialise scenes/tile_cube again" in first.metadata["what to do"].value
        assert check_of(materialize(small, small.paths.root)).passed
    else:
        assert first.passed
    assert [slot.slot for slot in cube_info(built).active] == [0, 3, 2]
    assert verify_cube(built) == []


def test_the_check_of_a_whole_cube_and_of_all_of_it(small, built):
    for config in ({}, {"verify_all": True}):
        found = check_of(materialize(small, small.paths.root, **config))
        assert found.passed
        assert found.metadata["shards_read"].value == 3 * 2 * 4


def test_the_check_stands_on_every_cube_and_blocks():
    for key in (["sample", "tile_cube"], ["eurosat", "tile_cube"]):
        checks = {check.name: check.blocking for check in defs.get_assets_def(dg.AssetKey(key)).check_specs}
        assert [name for name, blocking in checks.items() if blocking] == ["checksums"]


def test_a_patrol_reads_the_cube_in_turn(small, built, monkeypatch):
    monkeypatch.setattr(patrol, "PATROL_S", 0.0)
    monkeypatch.setattr(patrol, "worker_count", lambda: 2)
    read: list[tuple[int, str, int, int]] = []
    real = patrol.Report.read

    def noting(report, path, stored):
        for item in real(report, path, stored):
            read.append((item.slot.slot, item.shard.array, item.shard.y, item.shard.x))
            yield item

    monkeypatch.setattr(patrol.Report, "read", noting)
    for _ in range(3):
        assert check_cube(built, written=0).shards == 8
    assert len(set(read)) == len(read) == 3 * 8
    assert check_cube(built, written=0).shards == 8
    assert read[24:] == read[:8]
    # what a run wrote is read in any case
    assert check_cube(built, written=2).shards == 16 + 8


def test_damage_that_cannot_be_mended_is_told_each_time(small, built):
    shard_file(built, cube_info(built), "reflectance", 0, 0, 0).unlink()
    inbox = small.inbox / "2023-08-10-10-10" / "B02.tif"
    inbox.write_bytes(b"gone")
    for _ in range(2):
        found = check_of(materialize(small, small.paths.root, fails=True))
        assert not found.passed
        assert "is missing" in found.metadata["damage 1"].value


@pytest.mark.parametrize(
    ("name", "harm"), [("time/c/0", lose), ("time/c/2", flip), ("y/c/0", flip), ("band/c/0", truncate)]
)
def test_damaged_coordinates_are_found_and_mended(small, built, harm, name):
    before = open_cube(built).load()
    harm(built / name)
    (problem,) = verify_cube(built)
    assert f"{built / name}: the values of this coordinate are missing or damaged" in problem
    outcome = build_cube(small.collection, small.paths, TILE)
    assert outcome.metadata["dates_built"] == 0
    assert verify_cube(built) == []
    assert open_cube(built).load().identical(before)
    assert build_cube(small.collection, small.paths, TILE).reused


def test_lost_figures_are_made_again(small, built):
    samples_path(built, 2).unlink()
    assert len(verify_cube(built)) == 1
    assert build_cube(small.collection, small.paths, TILE).metadata["dates_built"] == 1
    assert verify_cube(built) == []


def test_a_date_that_is_mended_again_never_goes_back_to_a_slot_that_was_given_up(small, built):
    for lost, expected in ((0, [3, 1, 2]), (3, [4, 1, 2])):
        lose(shard_file(built, cube_info(built), "reflectance", lost, 0, 0))
        assert build_cube(small.collection, small.paths, TILE).metadata["dates_built"] == 1
        assert [slot.slot for slot in cube_info(built).active] == expected
    assert verify_cube(built) == []


def test_a_shard_that_the_disk_does_not_give_is_damage(small, built, monkeypatch):
    sector = shard_file(built, cube_info(built), "scl", 1, 256, 0)
    really = verify.file_digest

    def file_digest(file):
        if file == sector:
            raise OSError(5, "Input/output error")
        return really(file)

    monkeypatch.setattr(verify, "file_digest", file_digest)
    (problem,) = verify_cube(built)
    assert "scl at y=256, x=0 cannot be read (Input/output error)" in problem
    assert build_cube(small.collection, small.paths, TILE).metadata["dates_built"] == 1


def test_what_was_known_of_a_cube_that_is_gone_is_forgotten(small, built):
    flip(shard_file(built, cube_info(built), "reflectance", 0, 0, 0))
    assert len(verify_cube(built)) == 1
    shutil.rmtree(built)
    assert build_cube(small.collection, small.paths, TILE).metadata["dates_built"] == 3
    assert build_cube(small.collection, small.paths, TILE).reused


def test_a_repair_is_told(small, built, caplog):
    lose(shard_file(built, cube_info(built), "scl", 2, 0, 0))
    with caplog.at_level(logging.WARNING):
        build_cube(small.collection, small.paths, TILE)
    assert "33TWL 2023-08-20: slot 2 is damaged or lost; its date is built again" in caplog.text


@pytest.mark.parametrize("harm", HARMS)
def test_an_archive_mends_what_verify_found(archive, harm):
    first = build_archive_cube(archive.collection(), archive.paths)
    cube = archive.paths.cube(ARCHIVE_TILE)
    info = cube_info(cube)
    pixels = read_block(open_reflectance(cube), 0, 0, 0, (info.height, info.width))
    harm(shard_file(cube, info, "reflectance", 0, 0, 0))
    assert len(verify_cube(cube)) == 1
    again = build_archive_cube(archive.collection(), archive.paths)
    assert not again.reused
    assert again.data_version == first.data_version
    assert verify_cube(cube) == []
    assert (read_block(open_reflectance(cube), 0, 0, 0, (info.height, info.width)) == pixels).all()
    assert build_archive_cube(archive.collection(), archive.paths).reused
