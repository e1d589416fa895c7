"""The table of samples: small, the same as a join of both files, and loaded without holding them."""

import shutil
import tracemalloc
from contextlib import contextmanager
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

from agri_assets.cube.commit import commit_root, find_root
from agri_assets.cube.index import read_index, write_index
from agri_assets.cube.open import cube_info
from agri_assets.cube.zarr_metadata import root_document
from agri_assets.errors import CubeError, SplitError
from agri_assets.loading import order
from agri_assets.loading.order import Batches, epoch_order
from agri_assets.loading.samples import SampleTable, TilePlaces, load_samples, position_samples
from agri_assets.loading.stream import TileStream
from agri_assets.splits import rows
from agri_assets.splits.build import build_splits
from agri_assets.splits.chosen import NAMELESS, Kind, Kinds
from agri_assets.store.layout import ARCHIVE_TILE
from tests.splits.worlds import made_archive


def joined(paths, tiles, role) -> pd.DataFrame:
    """The samples of a split as a join gives them, in the order of the table."""
    index = pd.concat([pd.read_parquet(paths.tiles(tile)) for tile in tiles])
    both = pd.read_parquet(paths.assignments).merge(index, on=["tile_id", "date"], suffixes=("", "_index"))
    return both[both["split"] == role].sort_values(["tile", "slot", "row", "col"], ignore_index=True)


@pytest.mark.parametrize("role", ["train", "val", "test"])
@pytest.mark.parametrize("block", [2**16, 777])
def test_the_table_is_the_join_of_both_files(split_world, role, block, monkeypatch):
    monkeypatch.setattr(rows, "BLOCK", block)
    table = load_samples(split_world.paths, role)
    expected = joined(split_world.paths, split_world.grids, role)
    for name in ("tile_id", "date", "cell", "slot", "row", "col", "label"):
        assert np.array_equal(getattr(table, name), expected[name].to_numpy()), name
    classes = expected["class_name"].astype(object)
    assert table.class_name.tolist() == classes.where(classes.notna(), None).tolist()
    assert {kind.agricultural for kind in table.kinds} == {True, False}
    assert [table.kinds[code].agricultural for code in table.kind] == (expected["label"] == 1).tolist()
    assert [table.tiles[code] for code in table.tile] == expected["tile"].tolist()


def test_each_image_of_an_archive_keeps_its_own_date(tmp_path):
    collection, paths = made_archive(tmp_path, {})
    index = read_index(paths.tiles(ARCHIVE_TILE))
    index["date"] = [f"2020-01-{k % 28 + 1:02d}" if k % 5 else None for k in range(len(index))]
    write_index(paths.tiles(ARCHIVE_TILE), index)
    build_splits(collection, paths)
    for role in ("train", "val", "test"):
        expected = [None if pd.isna(day) else day for day in joined(paths, [ARCHIVE_TILE], role)["date"]]
        assert load_samples(paths, role).date.tolist() == expected


def test_what_is_taken_keeps_its_names(train):
    chosen = np.random.default_rng(0).permutation(len(train))[:50]
    some = train.take(chosen)
    for name in ("tile_id", "date", "cell", "label", "class_name"):
        assert np.array_equal(getattr(some, name), getattr(train, name)[chosen])


def test_a_sample_costs_few_bytes(train):
    arrays = [getattr(train, field.name) for field in fields(train) if field.name not in ("places", "kinds")]
    assert sum(array.nbytes for array in arrays) == 10 * len(train)


def test_rows_beyond_16_bits_are_kept():
    row = np.array([40_000, 5])
    table = position_samples("archive", np.zeros(2, np.int64), row, np.array([0, 1]), [None, None], ["a", "b"])
    assert np.array_equal(table.row, row)
    assert table.cell.tolist() == ["a", "b"]
    assert table.tile_id.tolist() == ["archive_r40000_c000", "archive_r005_c001"]


def test_assignments_of_another_index_are_refused(split_world):
    path = split_world.paths.tiles("31TDJ")
    kept = path.read_bytes()
    try:
        pd.read_parquet(path).iloc[1:].to_parquet(path, index=False)
        with pytest.raises(SplitError, match=r"sample 31TDJ_r000_c000 .* not in the tile index"):
            load_samples(split_world.paths, "train")
    finally:
        path.write_bytes(kept)


@contextmanager
def given_up(cube, slot):
    """The cube as it is after a date was built again, until the index is written."""
    info = cube_info(cube)
    changed = tuple(one.model_copy(update={"active": one.active and one.slot != slot}) for one in info.slots)
    commit_root(find_root(cube), root_document(info.model_copy(update={"slots": changed})))
    yield
    commit_root(find_root(cube), root_document(info))


@pytest.mark.parametrize("slot", [0, 1])
def test_an_index_that_names_slots_its_cube_has_given_up_is_refused(split_world, slot, tmp_path):
    refusal = rf"31TDJ.parquet: names slot {slot}, which its cube has given up; materialise tile_cube of 31TDJ again"
    paths = split_world.paths
    with given_up(paths.cube("31TDJ"), slot):
        for role in ("train", "val", "test"):
            with pytest.raises(CubeError, match=refusal):
                load_samples(paths, role)
        shutil.move(paths.receipt("splits"), tmp_path / "kept")
        kept = paths.assignments.read_bytes()
        with pytest.raises(CubeError, match=refusal):
            build_splits(split_world.collection, paths)
        assert paths.assignments.read_bytes() == kept
        shutil.move(tmp_path / "kept", paths.receipt("splits"))
    assert len(load_samples(paths, "train"))


def test_an_index_that_names_slots_its_cube_has_not_is_refused(split_world):
    path = split_world.paths.tiles("31TCJ")
    kept = path.read_bytes()
    try:
        frame = pd.read_parquet(path)
        frame.assign(slot=frame["slot"] + 1).to_parquet(path, index=False)
        with pytest.raises(CubeError, match="names slot 2, which its cube"):
            load_samples(split_world.paths, "val")
    finally:
        path.write_bytes(kept)


def many_dates(tile: str, slots: int, edge: int = 48) -> SampleTable:
    """Every position of a tile at every date."""
    slot, row, col = (axis.ravel() for axis in np.mgrid[:slots, :edge, :edge])
    places = TilePlaces(tile, {}, (), ("",), np.zeros((edge, edge), np.int32))
    zero, small = np.zeros(len(slot), np.int16), (slot.astype(np.int16), row.astype(np.int16), col.astype(np.int16))
    nothing = np.zeros(len(slot), np.uint8)
    return SampleTable((places,), zero, *small, nothing, nothing, NAMELESS)


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_stream_plans_in_little_more_than_its_order(split_world, shuffle):
    samples = many_dates("31TCJ", 400)
    tracemalloc.start()
    stream = TileStream(samples, split_world.cubes, 64, shuffle=shuffle)
    plan = stream._plan_for(0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # shard and order of four bytes each, moments of eight in passing, and pieces of a fixed size
    assert (peak - 60 * order.PIECE) / len(samples) < (17 if shuffle else 9)
    assert np.array_equal(np.sort(plan.order), np.arange(len(samples)))


@pytest.mark.parametrize("piece", [1, 100, 10**6])
def test_orders_made_in_pieces_are_those_made_at_once(piece, monkeypatch):
    monkeypatch.setattr(order, "PIECE", piece)
    shard = np.random.default_rng(3).integers(0, 37, 1500).astype(np.int32)
    shard[:37] = np.arange(37)
    batches = Batches(1500, 64)
    plain = epoch_order(shard, Batches(1500, 64, 1, 1))
    assert np.array_equal(plain, np.argsort(shard, kind="stable"))
    mixed = epoch_order(shard, batches, (5, 2), 8)
    monkeypatch.setattr(order, "PIECE", 2**16)
    assert np.array_equal(mixed, epoch_order(shard, batches, (5, 2), 8))


def test_more_kinds_than_a_byte_can_tell_become_nameless():
    kinds = Kinds()
    codes = [kinds.code(Kind(f"crop {number}", number % 2 == 0)) for number in range(400)]
    assert codes[:253] == list(range(3, 256))
    assert set(codes[253::2]) == {1}
    assert set(codes[254::2]) == {2}
    assert len(list(kinds)) == 255
