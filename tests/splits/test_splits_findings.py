"""What the checks of a split find: proof, balance and drift; limits count as they are now."""

import pandas as pd
import pytest

from agri_assets.limits import Limits
from agri_assets.splits.balance import furthest
from agri_assets.splits.build import build_splits
from agri_assets.splits.findings import split_findings
from agri_assets.splits.tally import Group


def find(world, outcome, **limits):
    collection = world.collection.model_copy(update={"limits": Limits(**limits)})
    return {finding.name: finding for finding in split_findings(collection, world.paths, outcome)}


def test_a_sound_split_passes_with_its_figures(built):
    outcome = build_splits(built.collection, built.paths)
    assert outcome.reused
    found = find(built, outcome)
    assert {name for name, finding in found.items() if finding.passed} == set(found)
    assert set(found) == {"disjoint_on_the_ground", "no_duplicate_pixels", "class_balance", "class_drift"}
    assert found["disjoint_on_the_ground"].figures["proof"] == "proved"
    assignments = pd.read_parquet(built.paths.assignments)
    test = assignments[assignments["split"] == "test"]
    share = found["class_balance"].figures["test_agricultural_share"]
    assert share == pytest.approx(test["label"].astype(float).mean(), abs=1e-4)


def test_limits_of_today_judge_a_split_of_yesterday(built):
    outcome = build_splits(built.collection, built.paths)
    found = find(built, outcome, class_balance=0.5, class_drift=1e-6)
    assert outcome.reused
    for name in ("class_balance", "class_drift"):
        assert not found[name].passed
        assert f"limits.{name}" in found[name].todo


def test_shares_by_tile_and_month_are_those_of_the_assignments(built):
    outcome = build_splits(built.collection, built.paths)
    used = pd.read_parquet(built.paths.assignments).dropna(subset="split")
    used = used.assign(month=used["date"].str[:7], label=used["label"].astype(int))
    for kind in ("tile", "month"):
        rows = {row[kind]: row for row in outcome.tables[f"class balance by {kind}"].rows}
        counts = used.groupby(kind)["label"].agg(["size", "sum"])
        assert {name: (row["samples"], row["agricultural"]) for name, row in rows.items()} == {
            name: (count["size"], count["sum"]) for name, count in counts.iterrows() if count["size"] >= 30
        }


def test_a_changed_split_fails_the_blocking_checks(built):
    outcome = build_splits(built.collection, built.paths)
    frame = pd.read_parquet(built.paths.assignments)
    row = frame.index[frame["split"] == "train"][0]
    frame.loc[row, "split"] = "test"
    frame.to_parquet(built.paths.assignments, index=False)
    found = find(built, outcome)
    for name in ("disjoint_on_the_ground", "no_duplicate_pixels"):
        assert not found[name].passed
        assert "nothing trains on it" in found[name].todo


def test_a_receipt_of_an_older_version_says_that_nothing_is_known(built):
    outcome = build_splits(built.collection, built.paths)
    old = {key: value for key, value in outcome.metadata.items() if "drift" not in key}
    found = find(built, outcome.model_copy(update={"metadata": old}))["class_drift"]
    assert not found.passed
    assert "older version" in found.found


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ({"a": Group(100, 50)}, {"tile_drift": None}),
        ({"a": Group(100, 50), "b": Group(3, 3)}, {"tile_drift": None}),
        ({"a": Group(100, 10), "b": Group(300, 270)}, {"tile_drift": 0.6, "tile_drift_in": "a"}),
    ],
)
def test_the_furthest_group_has_enough_samples(groups, expected):
    assert furthest("tile", groups) == expected
