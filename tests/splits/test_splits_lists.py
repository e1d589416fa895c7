"""Archives: published lists are kept to the letter, the rest is carved by content."""

from collections import Counter

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agri_assets.splits.lists import assign_archive, list_proof, list_warnings
from agri_assets.splits.settings import SplitSettings

SETTINGS = SplitSettings(val=0.2, test=0.3)


def archive(listed: list[str | None], cell: list[str] | None = None) -> pd.DataFrame:
    frame = pd.DataFrame(
        {"listed": pd.array(listed, dtype="string"), "cell": cell or [f"c{k}" for k in range(len(listed))]}
    )
    return frame.assign(
        valid_fraction=1.0, clear_fraction=1.0, ambiguous=False, label=pd.array([1] * len(listed), "Int8")
    )


def test_all_lists_given():
    result = assign_archive(archive(["train", "val", "test", None]), ("train", "val", "test"), SETTINGS)
    assert result["split"].tolist() == ["train", "val", "test", None]
    assert result["reason"].tolist() == [None, None, None, "not listed"]


def test_without_a_train_list_the_rest_is_train():
    result = assign_archive(archive(["val", "test", None]), ("val", "test"), SETTINGS)
    assert result["split"].tolist() == ["val", "test", "train"]


def test_val_is_carved_out_of_train_only():
    result = assign_archive(archive(["train"] * 2000 + ["test"] * 50), ("train", "test"), SETTINGS)
    assert (result["split"][2000:] == "test").all()
    share = Counter(result["split"][:2000])
    assert share["val"] == pytest.approx(400, abs=60)
    assert "test" not in share


def test_no_lists_carve_both():
    share = Counter(assign_archive(archive([None] * 5000), (), SETTINGS)["split"])
    assert share["test"] == pytest.approx(1500, abs=130)
    assert share["val"] == pytest.approx(1000, abs=130)


@given(st.lists(st.tuples(st.sampled_from(["train", "val", "test", None]), st.sampled_from("abcdefgh")), min_size=1))
def test_the_same_pixels_are_in_one_split_only(rows):
    frame = archive([role for role, _ in rows], [cell for _, cell in rows])
    result = assign_archive(frame, ("train", "val", "test"), SETTINGS)
    kept = frame.assign(split=result["split"]).dropna(subset="split")
    assert (kept.groupby("cell")["split"].nunique() <= 1).all()
    # a published test list loses nothing
    assert (result["split"][frame["listed"] == "test"] == "test").all()


@pytest.mark.parametrize(
    ("listed", "proof", "pairs"),
    [
        ((), "none", ["none", "none", "none"]),
        (("train", "test"), "given", ["none", "given", "given"]),
        (("train", "val", "test"), "given", ["given", "given", "given"]),
        (("test",), "given", ["none", "given", "given"]),
        (("val",), "none", ["given", "none", "given"]),
    ],
)
def test_proof_says_how_far_each_pair_is_known(listed, proof, pairs):
    got, detail = list_proof(listed)
    assert got == proof
    assert [detail[pair] for pair in ("train/val", "train/test", "val/test")] == pairs
    texts = list_warnings(detail)
    assert ("test split was carved" in " ".join(texts)) == (detail["train/test"] == "none")
    assert len(texts) == 2
