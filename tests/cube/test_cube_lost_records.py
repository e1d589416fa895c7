"""A slot that lost its manifest or its figures: whatever became of its source, the tile's other dates go on."""

import logging
import shutil

import pytest

from agri_assets.cube.build import build_cube
from agri_assets.cube.export import export_cog
from agri_assets.cube.index import read_index
from agri_assets.cube.manifest import manifest_path, samples_path
from agri_assets.cube.open import cube_info
from agri_assets.cube.patrol import check_cube
from agri_assets.cube.verify import verify_cube
from agri_assets.errors import CubeError
from tests.cube.harms import flip, lose, truncate

TILE = "33TWL"
DAYS = (10, 15, 20)

RECORDS = [manifest_path, samples_path]


def empty(path) -> None:
    """What a file system may leave of a file after the power failed."""
    path.write_bytes(b"")


@pytest.fixture
def scenes(small):
    return [small.scene(f"2023-08-{day}", seed=day) for day in DAYS]


@pytest.fixture
def built(small, scenes):
    small.inventory(*scenes)
    build_cube(small.collection, small.paths, TILE)
    return small.paths.cube(TILE)


def dates(cube) -> list[str]:
    return [slot.date for slot in cube_info(cube).active]


@pytest.mark.parametrize("harm", [lose, truncate, empty])
@pytest.mark.parametrize("record", RECORDS)
def test_of_a_scene_that_is_gone(small, scenes, built, caplog, record, harm):
    harm(record(built, 1))
    small.inventory(scenes[0], scenes[2])
    with caplog.at_level(logging.WARNING):
        outcome = build_cube(small.collection, small.paths, TILE)
    assert "built again" not in caplog.text
    (warning,) = outcome.warnings
    assert warning.startswith("2023-08-15: ")
    assert "no longer in the inventory" in warning
    assert dates(built) == ["2023-08-10", "2023-08-20"]
    assert verify_cube(built) == []
    assert build_cube(small.collection, small.paths, TILE).reused
    # should it return, what was lost is not taken for whole
    small.inventory(*scenes)
    assert not build_cube(small.collection, small.paths, TILE).warnings
    assert dates(built) == ["2023-08-10", "2023-08-15", "2023-08-20"]
    assert verify_cube(built) == []


@pytest.mark.parametrize("harm", [lose, truncate, empty])
@pytest.mark.parametrize("record", RECORDS)
def test_of_a_scene_that_is_there(small, built, record, harm):
    harm(record(built, 1))
    (problem,) = verify_cube(built)
    assert "slot 1 (2023-08-15)" in problem
    assert build_cube(small.collection, small.paths, TILE).metadata["dates_built"] == 1
    assert [slot.slot for slot in cube_info(built).active] == [0, 3, 2]
    assert verify_cube(built) == []


@pytest.mark.parametrize("record", RECORDS)
def test_of_a_scene_that_is_there_but_cannot_be_read(small, scenes, built, record):
    version = build_cube(small.collection, small.paths, TILE).data_version
    lose(record(built, 1))
    source, away = small.inbox / "2023-08-15-10-15", small.inbox / "away"
    source.rename(away)
    refused, inactive = build_cube(small.collection, small.paths, TILE).warnings
    assert "was refused" in refused
    assert inactive.startswith("2023-08-15: ")
    assert "made inactive" in inactive
    assert dates(built) == ["2023-08-10", "2023-08-20"]
    assert verify_cube(built) == []
    assert check_cube(built, written=0).problems == ()
    # as every later run
    small.inventory(*scenes, small.scene("2023-08-25", seed=25))
    build_cube(small.collection, small.paths, TILE)
    assert dates(built) == ["2023-08-10", "2023-08-20", "2023-08-25"]
    away.rename(source)
    small.inventory(*scenes)
    assert build_cube(small.collection, small.paths, TILE).data_version == version
    assert dates(built) == ["2023-08-10", "2023-08-15", "2023-08-20"]


@pytest.mark.parametrize("record", RECORDS)
def test_of_the_only_date(small, scenes, record):
    small.inventory(scenes[0])
    build_cube(small.collection, small.paths, TILE)
    cube = small.paths.cube(TILE)
    lose(record(cube, 0))
    shutil.rmtree(small.inbox)
    for _ in range(2):
        with pytest.raises(CubeError, match=r"^33TWL: none of 1 dates could be built; 2023-08-10: .* was refused: "):
            build_cube(small.collection, small.paths, TILE)


@pytest.mark.parametrize("record", RECORDS)
def test_of_a_slot_that_is_not_active(small, scenes, built, record):
    small.inventory(scenes[0], scenes[2])
    build_cube(small.collection, small.paths, TILE)
    lose(record(built, 1))
    assert build_cube(small.collection, small.paths, TILE).reused
    assert verify_cube(built) == []
    assert check_cube(built, written=0).problems == ()
    small.inventory(scenes[0], scenes[2], small.scene("2023-08-25", seed=25))
    assert build_cube(small.collection, small.paths, TILE).metadata["dates_built"] == 1
    assert dates(built) == ["2023-08-10", "2023-08-20", "2023-08-25"]


@pytest.mark.parametrize("harm", [truncate, flip])
def test_figures_that_cannot_be_read_are_counted_anew(small, scenes, built, harm):
    before = read_index(small.paths.tiles(TILE))
    harm(samples_path(built, 1))
    small.land_cover(version="2")
    assert build_cube(small.collection, small.paths, TILE).metadata["dates_built"] == 0
    assert read_index(small.paths.tiles(TILE)).equals(before)
    assert verify_cube(built) == []


def test_readers_are_told(small, built, tmp_path):
    lose(manifest_path(built, 1))
    with pytest.raises(CubeError, match=r"slot 1 \(2023-08-15\): its manifest .*: materialise tile_cube again"):
        export_cog(built, "2023-08-15", tmp_path / "out.tif")
    export_cog(built, "2023-08-10", tmp_path / "out.tif")
