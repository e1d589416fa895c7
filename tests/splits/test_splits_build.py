"""The stage and its check: what it writes, when it refuses, and that a broken split is never used."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from agri_assets.errors import SplitError
from agri_assets.splits import build
from agri_assets.splits.assignments import COLUMNS
from agri_assets.splits.build import build_splits, check_splits, read_summary
from agri_assets.splits.statistics import TrainStatistics


def rewrite(paths, change) -> None:
    frame = pd.read_parquet(paths.assignments)
    change(frame)
    frame.to_parquet(paths.assignments, index=False)


def test_scenes_end_to_end(world):
    outcome = build_splits(world.collection, world.paths)
    summary = check_splits(world.collection, world.paths)
    assert summary.proof == "proved"
    assert set(summary.proof_detail.values()) == {"proved"}
    assert min(value for value in summary.min_distance_m.values() if value) >= 320 * np.sqrt(2) * 0.999
    frame = pd.read_parquet(world.paths.assignments)
    assert tuple(frame.columns) == COLUMNS
    assert len(frame) == 2 * 2 * 48 * 48
    assert {role: count.n for role, count in summary.counts.items()} == frame["split"].value_counts().to_dict()
    assert sum(summary.dropped.values()) == frame["split"].isna().sum()
    assert outcome.pictures["split map"].stat().st_size < 80_000
    assert outcome.whole


def test_statistics_are_those_of_the_train_pixels(built):
    summary = read_summary(built.paths)
    frame = pd.read_parquet(built.paths.assignments)
    train = frame[frame["split"] == "train"]
    rows = train.merge(
        pd.concat([pd.read_parquet(built.paths.tiles(tile)) for tile in built.grids]), on=["tile_id", "date"]
    )
    tiles = [
        built.pixels[tile][slot, :, r * 32 : r * 32 + 32, c * 32 : c * 32 + 32]
        for tile, slot, r, c in rows[["tile_x", "slot", "row", "col"]].itertuples(index=False)
    ]
    pixels = np.stack(tiles, axis=1).reshape(2, -1).astype(np.float64)
    for band in range(2):
        valid = pixels[band][pixels[band] > 0]
        assert summary.mean[band] == pytest.approx(valid.mean(), rel=1e-12)
        assert summary.std[band] == pytest.approx(valid.std(), rel=1e-12)


def test_second_time_does_nothing(built, monkeypatch):
    monkeypatch.setattr(build, "statistics_of_train", None)
    assert build_splits(built.collection, built.paths).reused


def test_same_inputs_same_result(world):
    first = build_splits(world.collection, world.paths)
    summary = world.paths.split_summary.read_bytes()
    world.paths.receipt("splits").unlink()
    second = build_splits(world.collection, world.paths)
    assert not second.reused
    assert second.data_version == first.data_version
    assert world.paths.split_summary.read_bytes() == summary


def test_a_moved_row_is_refused(built):
    def move(frame):
        frame.loc[frame.index[frame["split"] == "train"][0], "split"] = "test"

    rewrite(built.paths, move)
    with pytest.raises(SplitError, match=r"more than one split|nearer than one tile diagonal"):
        check_splits(built.collection, built.paths)


def test_a_moved_cell_is_refused_by_distance(built):
    """Two neighbouring cells whose rows agree among themselves, so that only the ground can tell."""

    def move(frame):
        index = pd.read_parquet(built.paths.tiles("31TCJ")).drop_duplicates("tile_id")
        train = frame[(frame["split"] == "train") & (frame["tile"] == "31TCJ")].merge(index, on="tile_id")
        sizes = train.groupby("cell_x").size()
        frame.loc[frame["split"].eq("train") & frame["cell"].eq(sizes.idxmax()), "split"] = "val"

    rewrite(built.paths, move)
    with pytest.raises(SplitError, match=r"val sample \S+ is|is \d+ m from|changed since it was proved"):
        check_splits(built.collection, built.paths)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("label", 0, "label differs"),
        ("cell", "871f00000ffffff", "cell differs"),
        ("tile_id", "31TCJ_r999_c999", "not in the tile index"),
    ],
)
def test_a_changed_row_is_refused(built, column, value, message):
    def change(frame):
        wanted = (frame["split"] == "train") & (frame["label"] == 1)
        frame.loc[frame.index[wanted][0], column] = value

    rewrite(built.paths, change)
    with pytest.raises(SplitError, match=message):
        check_splits(built.collection, built.paths)


def test_a_dropped_row_is_refused(built):
    def change(frame):
        first = frame.index[frame["split"] == "train"][0]
        frame.loc[first, ["split", "reason"]] = [None, "cloudy"]

    rewrite(built.paths, change)
    with pytest.raises(SplitError, match="changed since it was proved"):
        check_splits(built.collection, built.paths)


def test_ground_used_by_two_tiles_is_refused(built):
    """A sample of a tile that is not the owner, put where its neighbours are."""

    def change(frame):
        train = frame[frame["split"] == "train"]
        lost = frame[(frame["reason"] == "not owner") & frame["cell"].isin(train["cell"]) & frame["label"].notna()]
        frame.loc[lost.index[0], ["split", "reason"]] = ["train", None]

    rewrite(built.paths, change)
    with pytest.raises(SplitError, match=r"owns|tile diagonal"):
        check_splits(built.collection, built.paths)


def test_stale_splits_are_refused(built):
    built.write_receipt("31TDJ", "something new")
    with pytest.raises(SplitError, match="stale, the cubes of 31TDJ changed"):
        check_splits(built.collection, built.paths)
    assert not build_splits(built.collection, built.paths).reused
    check_splits(built.collection, built.paths)


def test_changed_settings_make_it_stale(built):
    built.split = {**built.split, "min_clear": 0.2}
    with pytest.raises(SplitError, match="its settings changed"):
        check_splits(built.collection, built.paths)


def test_retired_and_unbuilt_tiles_are_left_out(world):
    world.paths.receipt("tile_cube", "31TDJ").unlink()
    outcome = build_splits(world.collection, world.paths)
    assert "31TDJ is active but has no whole cube" in " ".join(outcome.warnings)
    world.write_receipt("31TDJ", "1")
    world.write_catalog(retired=("31TDJ",))
    build_splits(world.collection, world.paths)
    assert list(read_summary(world.paths).cubes) == ["31TCJ"]


def test_no_cube_at_all(world):
    for tile in world.grids:
        world.paths.receipt("tile_cube", tile).unlink()
    with pytest.raises(SplitError, match="no tile has a whole cube"):
        build_splits(world.collection, world.paths)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"resolution": 4}, r"split (train|val|test) has (no|too few)"),
        ({"resolution": 7, "min_cells": 60}, r"split (val|test) has too few cells for split.min_cells"),
    ],
)
def test_a_weak_split_is_refused_by_name(world, settings, message):
    world.split = settings
    for tile in world.grids:
        world.write_tile_index(tile)
    with pytest.raises(SplitError, match=message):
        build_splits(world.collection, world.paths)
    assert not world.paths.split_summary.exists()


def test_a_split_without_a_class_is_refused(world):
    for tile in world.grids:
        frame = pd.read_parquet(world.paths.tiles(tile))
        frame["label"] = frame["label"].mask(frame["label"] == 1)
        frame.to_parquet(world.paths.tiles(tile), index=False)
    with pytest.raises(SplitError, match="has no agricultural sample"):
        build_splits(world.collection, world.paths)


def test_no_split_yet(world):
    with pytest.raises(SplitError, match="key:made/splits"):
        check_splits(world.collection, world.paths)


@pytest.mark.parametrize(
    "lists", [{}, {"train": "a", "test": "b"}, {"train": "a", "val": "c", "test": "b"}, {"test": "b"}]
)
def test_archives(worlds, tmp_path, lists):
    collection, paths = worlds.made_archive(tmp_path, lists)
    outcome = build_splits(collection, paths)
    summary = check_splits(collection, paths)
    assert summary.proof == ("given" if "test" in lists else "none")
    assert len(outcome.warnings) == 2
    frame = pd.read_parquet(paths.assignments)
    index = pd.read_parquet(paths.tiles("archive"))
    both = frame.merge(index, on="tile_id")
    for role in ("val", "test"):
        if role in lists:
            assert set(both.loc[both["listed"] == role, "split"]) == {role}


def test_an_archive_that_left_its_lists_is_refused(worlds, tmp_path):
    collection, paths = worlds.made_archive(tmp_path, {"train": "a", "test": "b"})
    build_splits(collection, paths)

    def move(frame):
        frame.loc[frame.index[frame["split"] == "train"][0], "split"] = "test"

    rewrite(paths, move)
    with pytest.raises(SplitError, match="on the train list, which is for another split"):
        check_splits(collection, paths)


def test_a_full_size_tile_of_four_dates_is_proved(worlds, tmp_path, monkeypatch):
    world = worlds.World(
        tmp_path, {"31TCJ": worlds.utm_grid(31, 300_000.0, 4_900_000.0, 3968)}, split={"resolution": 6}
    )
    world.write_tile_index("31TCJ", 0, tuple(f"2023-06-{day:02d}" for day in range(1, 5)))
    world.paths.cube("31TCJ").mkdir(parents=True)
    world.write_catalog()
    # the pixels do not matter here
    monkeypatch.setattr(build, "statistics_of_train", lambda *_: TrainStatistics((1.0, 1.0), (1.0, 1.0), (1, 1)))
    monkeypatch.setattr("agri_assets.splits.check.prove_no_copies", lambda *_: None)
    monkeypatch.setattr(
        build, "cube_info", lambda _: SimpleNamespace(units="reflectance", height=3968, width=3968, tile_size=32)
    )
    assert (
        sum(row["samples"] for row in build_splits(world.collection, world.paths).tables["samples per split"].rows)
        > 30_000
    )
    check_splits(world.collection, world.paths)
    assert len(pd.read_parquet(world.paths.assignments)) > 60_000


def test_no_usable_sample_at_all(world):
    world.split = {**world.split, "min_clear": 1.0}
    for tile in world.grids:
        frame = pd.read_parquet(world.paths.tiles(tile)).assign(clear_fraction=0.5)
        frame.to_parquet(world.paths.tiles(tile), index=False)
    with pytest.raises(SplitError, match="split train has no agricultural sample: it holds 0 samples"):
        build_splits(world.collection, world.paths)
