"""An index that does not describe its cube is noticed, whatever the receipt says, and written again."""

import pandas as pd
import pytest

from agri_assets.cube import update
from agri_assets.cube.archive import build_archive_cube
from agri_assets.cube.build import build_cube
from agri_assets.cube.index import read_index
from agri_assets.cube.open import cube_info
from agri_assets.cube.shards import shard_file
from agri_assets.store.layout import ARCHIVE_TILE
from tests.cube.harms import lose, truncate

TILE = "33TWL"


class Killed(BaseException):
    """Stands for a signal."""


@pytest.fixture
def built(small):
    small.inventory(*(small.scene(f"2023-08-{day}", seed=day) for day in (10, 15)))
    build_cube(small.collection, small.paths, TILE)
    return small


def killed_before_the_index(site, monkeypatch) -> None:
    def kill(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(update, "write_dated_index", kill)
        with pytest.raises(Killed):
            build_cube(site.collection, site.paths, TILE)


def slots(site) -> tuple[set[int], set[int]]:
    """Those of the index, and the active ones of the cube."""
    return set(read_index(site.paths.tiles(TILE))["slot"]), {s.slot for s in cube_info(site.paths.cube(TILE)).active}


def test_a_repair_that_was_killed_before_its_index_is_brought_to_its_end(built, monkeypatch):
    before = read_index(built.paths.tiles(TILE))
    cube = built.paths.cube(TILE)
    lose(shard_file(cube, cube_info(cube), "reflectance", 0, 0, 0))
    killed_before_the_index(built, monkeypatch)
    assert slots(built) == ({0, 1}, {1, 2})
    outcome = build_cube(built.collection, built.paths, TILE)
    assert not outcome.reused
    assert outcome.metadata["dates_built"] == 0
    assert slots(built) == ({1, 2}, {1, 2})
    pd.testing.assert_frame_equal(read_index(built.paths.tiles(TILE)).drop(columns="slot"), before.drop(columns="slot"))
    assert build_cube(built.collection, built.paths, TILE).reused


def test_a_date_that_came_and_went_again_is_put_right(built, monkeypatch):
    """The receipt of the first build fits again what is wanted, but not what the cube has come to."""
    kept = built.paths.inventory(TILE).read_text(), built.paths.receipt("raw_scenes", TILE).read_text()
    built.inventory(*(built.scene(f"2023-08-{day}", seed=day) for day in (10, 15, 20)))
    killed_before_the_index(built, monkeypatch)
    built.paths.inventory(TILE).write_text(kept[0])
    built.paths.receipt("raw_scenes", TILE).write_text(kept[1])
    assert slots(built) != ({0, 1}, {0, 1})
    build_cube(built.collection, built.paths, TILE)
    named, active = slots(built)
    assert named == active
    assert len(active) == 2


@pytest.mark.parametrize("harm", [truncate, lose, lambda path: path.write_bytes(b"")])
def test_an_index_that_cannot_be_read_is_written_again(built, harm):
    before = read_index(built.paths.tiles(TILE))
    harm(built.paths.tiles(TILE))
    assert not build_cube(built.collection, built.paths, TILE).reused
    pd.testing.assert_frame_equal(read_index(built.paths.tiles(TILE)), before)


def test_the_index_of_an_archive_is_written_again(archive):
    collection = archive.collection()
    build_archive_cube(collection, archive.paths)
    before = read_index(archive.paths.tiles(ARCHIVE_TILE))
    for harm in (truncate, lose):
        harm(archive.paths.tiles(ARCHIVE_TILE))
        assert not build_archive_cube(collection, archive.paths).reused
        pd.testing.assert_frame_equal(read_index(archive.paths.tiles(ARCHIVE_TILE)), before)
    assert build_archive_cube(collection, archive.paths).reused
