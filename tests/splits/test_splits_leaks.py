"""Planted leaks are refused, even where digests and counts were made to agree with them, and the named remedy helps."""

import json

import numpy as np
import pandas as pd
import pytest

from agri_assets.errors import SplitError, StoreError
from agri_assets.splits.build import _data_version, build_splits, check_splits, read_summary
from agri_assets.splits.check import check_statistics
from agri_assets.splits.rows import assigned_blocks
from agri_assets.splits.statistics import statistics_of_train
from agri_assets.splits.tally import Tally
from agri_assets.store.commit import locked
from agri_assets.store.receipt import read_outcome


def rewrite(paths, change) -> None:
    change(pd.read_parquet(paths.assignments)).to_parquet(paths.assignments, index=False)


def change_summary(paths, **changes) -> None:
    summary = json.loads(paths.split_summary.read_text())
    paths.split_summary.write_text(json.dumps(summary | changes))


def forge(paths) -> None:
    """Let the summary say what the changed assignments amount to."""
    tally = Tally()
    for block in assigned_blocks(paths.assignments, paths):
        tally.add(block)
    change_summary(
        paths,
        assignments_digest=tally.digest,
        train_digest=tally.train_digest,
        counts={role: count.model_dump() for role, count in tally.roles.items()},
        dropped=dict(tally.dropped),
    )


def copied(frame):
    """One sample of train stands in test as well."""
    row = frame.index[frame["split"] == "train"][0]
    return pd.concat([frame.loc[:row], frame.loc[[row]].assign(split="test"), frame.loc[row + 1 :]])


def renamed(frame):
    """A sample of test takes the place of one of train, which keeps its name."""
    train, test = (frame.index[frame["split"] == role][0] for role in ("train", "test"))
    frame.loc[test, ["tile_id", "date"]] = frame.loc[train, ["tile_id", "date"]].to_numpy()
    return frame


def of_another_tile(frame):
    """A sample of train is said to be of the other tile."""
    row = frame.index[frame["split"] == "train"][0]
    frame.loc[row, "tile"] = "31TDJ" if frame.loc[row, "tile"] == "31TCJ" else "31TCJ"
    return frame


def in_the_buffer(frame):
    """One position that was dropped from train is in train again, on all its dates."""
    role = frame.dropna(subset="split").drop_duplicates("cell").set_index("cell")["split"]
    near = frame[(frame["reason"] == "near another split") & (frame["cell"].map(role) == "train")]
    back = near.index[near["tile_id"] == near["tile_id"].iloc[0]]
    frame.loc[back, "split"] = "train"
    frame.loc[back, "reason"] = None
    return frame


LEAKS = {
    copied: "listed twice or out of its order",
    renamed: "listed twice or out of its order",
    of_another_tile: "said to be of tile",
    in_the_buffer: "nearer than one tile diagonal",
}


@pytest.mark.parametrize("forged", [False, True])
@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.__name__)
def test_a_planted_leak_is_refused_and_splits_are_made_again(built, leak, forged):
    sound = built.paths.split_summary.read_bytes()
    rewrite(built.paths, leak)
    if forged:
        forge(built.paths)
    with pytest.raises(SplitError, match=LEAKS[leak]) as caught:
        check_splits(built.collection, built.paths)
    assert "\n" not in str(caught.value)
    assert not build_splits(built.collection, built.paths).reused
    assert built.paths.split_summary.read_bytes() == sound
    check_splits(built.collection, built.paths)
    assert build_splits(built.collection, built.paths).reused


def of_all_samples(paths, tiles):
    """The statistics as they are where all usable samples are taken for train."""
    kept = paths.assignments.read_bytes()
    rewrite(paths, lambda frame: frame.assign(split=frame["split"].where(frame["split"].isna(), "train")))

    found = statistics_of_train(paths.assignments, paths, tiles, 0, read_summary(paths).bands)
    paths.assignments.write_bytes(kept)
    return found


@pytest.mark.parametrize("in_receipt", [False, True])
def test_statistics_of_all_samples_are_refused(built, in_receipt):
    found = of_all_samples(built.paths, built.grids)
    before = read_summary(built.paths)
    assert not np.allclose(found.mean, before.mean, rtol=1e-9)
    check_statistics(built.paths, before)
    change_summary(built.paths, mean=found.mean, std=found.std)
    if in_receipt:
        # a receipt that agrees hides it from everything but the pixels

        receipt = built.paths.receipt("splits")
        told = json.loads(receipt.read_text()) | {"data_version": _data_version(read_summary(built.paths))}
        receipt.write_text(json.dumps(told))
    summary = check_splits(built.collection, built.paths)
    with pytest.raises(SplitError, match=r"statistics are not those of the train split \(B04 has mean .*delete it and"):
        check_statistics(built.paths, summary)
    if in_receipt:
        built.paths.split_summary.unlink()
    assert not build_splits(built.collection, built.paths).reused
    assert read_summary(built.paths) == before


@pytest.mark.parametrize(
    ("field", "value"), [("counts", None), ("min_distance_m", {}), ("train_digest", ""), ("bands", ["B04", "B03"])]
)
def test_a_summary_that_was_changed_is_refused_and_made_again(built, field, value):
    before = read_summary(built.paths)
    counts = before.model_dump(mode="json")["counts"]
    counts["test"]["n"] += 1
    change_summary(built.paths, **{field: counts if value is None else value})
    with pytest.raises(SplitError, match=r"does not describe assignments\.parquet; run"):
        check_splits(built.collection, built.paths)
    assert not build_splits(built.collection, built.paths).reused
    assert check_splits(built.collection, built.paths) == before


@pytest.mark.parametrize("content", [b"", b"{}", b"[1", b"\xff"])
@pytest.mark.parametrize("name", ["split_summary", "assignments", "receipt"])
def test_files_that_cannot_be_read_are_made_again(built, name, content):
    before = read_summary(built.paths)
    path = built.paths.receipt("splits") if name == "receipt" else getattr(built.paths, name)
    path.write_bytes(content)
    assert not build_splits(built.collection, built.paths).reused
    assert check_splits(built.collection, built.paths) == before


def test_a_run_killed_between_its_two_files_is_done_again_whatever_the_settings(built):
    """Assignments of other settings stand beside the summary of the present ones, and its receipt agrees."""
    first = read_summary(built.paths)
    kept = built.paths.split_summary.read_bytes(), built.paths.receipt("splits").read_bytes()
    settings, built.split = built.split, {**built.split, "seed": 7}
    build_splits(built.collection, built.paths)
    built.split = settings
    built.paths.split_summary.write_bytes(kept[0])
    built.paths.receipt("splits").write_bytes(kept[1])
    with pytest.raises(SplitError, match="; run `dagster"):
        check_splits(built.collection, built.paths)
    build_splits(built.collection, built.paths)
    assert check_splits(built.collection, built.paths) == first


def test_a_refused_split_is_made_once_its_cause_is_mended(built):
    """Refused for want of a class, with the split of before still there."""
    path = built.paths.tiles("31TCJ")
    versions = {tile: read_outcome(built.paths.receipt("tile_cube", tile)).data_version for tile in built.grids}
    sound = {tile: built.paths.tiles(tile).read_bytes() for tile in built.grids}
    for tile in built.grids:
        frame = pd.read_parquet(built.paths.tiles(tile))
        frame.assign(label=frame["label"].mask(frame["label"] == 1)).to_parquet(built.paths.tiles(tile), index=False)
        built.write_receipt(tile, "without a class")
    with pytest.raises(SplitError, match="has no agricultural sample"):
        build_splits(built.collection, built.paths)
    with pytest.raises(SplitError, match="stale"):
        check_splits(built.collection, built.paths)
    for tile, content in sound.items():
        built.paths.tiles(tile).write_bytes(content)
        built.write_receipt(tile, versions[tile])
    assert path.exists()
    build_splits(built.collection, built.paths)
    check_splits(built.collection, built.paths)


def test_a_missing_index_names_the_tile_of_its_command(built):
    built.paths.tiles("31TDJ").unlink()
    with pytest.raises(SplitError, match=r"key:made/tile_cube --partition 31TDJ`$"):
        check_splits(built.collection, built.paths)


def test_two_at_once_do_not_mix_their_files(world):
    before = {path for path in world.paths.splits.rglob("*") if path.suffix in (".parquet", ".json")}
    with (
        locked(world.paths.assignments, "another"),
        pytest.raises(StoreError, match="the split of made is in use by another process"),
    ):
        build_splits(world.collection, world.paths)
    assert {path for path in world.paths.splits.rglob("*") if path.suffix in (".parquet", ".json")} == before
    assert not build_splits(world.collection, world.paths).reused
    with locked(world.paths.assignments, "another"):
        assert build_splits(world.collection, world.paths).reused
