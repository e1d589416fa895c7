"""A date that was copied under another tile's name is found by its digest, whatever ground it is said to be of."""

import re

import pytest

from agri_assets.cube.manifest import ShardRecord, SlotManifest, manifest_path, write_manifest
from agri_assets.cube.open import cube_info
from agri_assets.errors import SplitError
from agri_assets.splits import copies
from agri_assets.splits.build import build_splits, check_splits
from agri_assets.splits.copies import prove_no_copies
from agri_assets.splits.tally import Group

TRAIN, VAL, TEST = 1, 2, 4


@pytest.fixture
def copied(built, monkeypatch):
    """The second date of one tile has the digest of the first date of the other."""
    digests = {("31TCJ", 0): "a", ("31TCJ", 1): "b", ("31TDJ", 0): "c", ("31TDJ", 1): "a"}

    def with_digests(path):
        info = cube_info(path)
        slots = (slot.model_copy(update={"digest": digests.get((info.tile, slot.slot), "")}) for slot in info.slots)
        return info.model_copy(update={"slots": tuple(slots)})

    monkeypatch.setattr(copies, "cube_info", with_digests)
    holds(built, "data")
    return built


def holds(world, state):
    cube = world.paths.cube("31TDJ")
    shard = ShardRecord(array="reflectance", y=0, x=0, state=state)
    write_manifest(manifest_path(cube, 1), SlotManifest(slot=1, date="", scene_id="", fingerprint="", shards=(shard,)))


def groups(one, other):
    return {"31TCJ": Group(n=9, roles=one), "31TDJ": Group(n=9, roles=other)}


def test_a_copied_date_stops_whoever_proves_the_split(copied):
    pattern = r"tile 31TDJ holds on \S+ the very pixels of tile 31TCJ on \S+, and .*remove the copy \(S2A_31TDJ"
    with pytest.raises(SplitError, match=pattern):
        check_splits(copied.collection, copied.paths)
    copied.paths.split_summary.unlink()
    with pytest.raises(SplitError, match=pattern):
        build_splits(copied.collection, copied.paths)
    assert not copied.paths.split_summary.exists()


@pytest.mark.parametrize(
    ("one", "other", "leaks"),
    [(TRAIN, TEST, True), (TRAIN, TRAIN | VAL, True), (TRAIN | TEST, TRAIN | TEST, True), (TRAIN, TRAIN, False)],
)
def test_only_copies_in_two_splits_leak(copied, one, other, leaks):
    found = None
    try:
        prove_no_copies(copied.paths, ("31TCJ", "31TDJ"), groups(one, other))
    except SplitError as error:
        found = error
    assert (found is not None) == leaks
    assert not re.search(r"\n", str(found))


def test_a_tile_that_gives_no_sample_does_not_matter(copied):
    prove_no_copies(copied.paths, ("31TCJ", "31TDJ"), {"31TCJ": Group(n=9, roles=TRAIN | TEST), "31TDJ": Group()})


def test_dates_without_data_are_no_copies(copied):
    holds(copied, "empty")
    check_splits(copied.collection, copied.paths)
