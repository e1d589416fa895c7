"""Archives: published lists are kept to the letter, the rest is carved by ground, group or content."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from agri_assets.errors import SplitError
from agri_assets.splits.archive_proof import BASIS, archive_terms, prove_archive
from agri_assets.splits.lists import assign_archive
from agri_assets.splits.settings import SplitSettings
from agri_assets.splits.tangent import diagonals as proved_diagonals
from agri_assets.splits.tangent import nearest
from agri_assets.splits.zones import diagonals, near_outlines

SETTINGS = SplitSettings(val=0.2, test=0.3)
GEOD = Geod(ellps="WGS84")
EDGE = 640.0
ROLES = ["train", "val", "test", None]


def square(lon: float, lat: float, east: float = 0.0, north: float = 0.0, edge: float = EDGE) -> shapely.Polygon:
    """A square so many metres east and north of a point, by geodesics."""

    def move(x: float, y: float) -> tuple[float, float]:
        moved = GEOD.fwd(lon, lat, np.degrees(np.arctan2(x, y)), np.hypot(x, y))
        return moved[0], moved[1]

    return shapely.Polygon([move(east + i * edge, north + j * edge) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))])


def archive(listed, cell=None, content=None, group=None, shapes=None) -> pd.DataFrame:
    count = len(listed)
    frame = pd.DataFrame({"listed": pd.array(listed, dtype="string"), "cell": cell or [f"c{k}" for k in range(count)]})
    return frame.assign(
        tile_id=[f"archive_r000_c{k:03d}" for k in range(count)],
        date=None,
        name=[f"{k}.tif" for k in range(count)],
        class_name="Crop",
        content=content or [f"p{k}" for k in range(count)],
        group=pd.array(group or [None] * count, dtype="string"),
        geometry=shapely.to_wkb(np.array(shapes or [None] * count, dtype=object)),
        valid_fraction=1.0,
        clear_fraction=1.0,
        ambiguous=False,
        label=pd.array([1] * count, "Int8"),
    )


def assigned(frame: pd.DataFrame, listed=(), split=SETTINGS) -> pd.DataFrame:
    return frame.join(assign_archive(frame, listed, split))


def proved(frame: pd.DataFrame, listed=(), split=SETTINGS):
    return prove_archive(assigned(frame, listed, split).dropna(subset="split").reset_index(drop=True), listed)


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


@given(st.lists(st.tuples(st.sampled_from(ROLES), st.sampled_from("abcdefgh")), min_size=1))
def test_the_same_pixels_are_in_one_split_only(rows):
    frame = archive([role for role, _ in rows], content=[content for _, content in rows])
    kept = assigned(frame, ("train", "val", "test"))
    assert (kept.dropna(subset="split").groupby("content")["split"].nunique() <= 1).all()
    # a published test list loses nothing
    assert (kept["split"][frame["listed"] == "test"] == "test").all()


SAMPLE = st.tuples(
    st.sampled_from(ROLES),
    st.sampled_from(["", "g1", "g2", "g3"]),
    st.sampled_from("abcdefghijklmnop"),
    st.one_of(st.none(), st.tuples(st.integers(0, 12), st.integers(0, 12))),
)
LISTED = st.sampled_from([(), ("test",), ("train", "test"), ("train",), ("val", "test"), ("train", "val", "test")])


def mixed(samples, listed) -> pd.DataFrame:
    """Samples near 180 degrees, some on known ground, some of a product only."""
    shapes = [square(179.95, 10, *(EDGE * np.array(place))) if place else None for *_, place in samples]
    cell = [f"h{place[0] // 4}-{place[1] // 4}" if place else group or content for _, group, content, place in samples]
    return archive(
        [role if role in listed else None for role, *_ in samples],
        cell,
        [content for _, _, content, _ in samples],
        [group or None for _, group, _, _ in samples],
        shapes,
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(SAMPLE, min_size=2, max_size=40), LISTED)
def test_nothing_stands_in_two_splits_and_the_proof_agrees(samples, listed):
    frame = mixed(samples, listed)
    kept = assigned(frame, listed).dropna(subset="split").reset_index(drop=True)
    assert (kept.groupby("content")["split"].nunique() <= 1).all()
    pool = kept[kept["split"].isin({"train", "val", "test"} - ({*listed} - {"train"}))]
    assert (pool.groupby("cell")["split"].nunique() <= 1).all()
    unplaced = pool.loc[pool["geometry"].isna(), "group"].dropna()
    assert (pool[pool["group"].isin(unplaced)].groupby("group")["split"].nunique() <= 1).all()
    found = prove_archive(kept, listed)
    for pair, proof in found.detail.items():
        one, other = (kept.loc[kept["split"] == role, "geometry"] for role in pair.split("/"))
        if proof == "proved":
            assert one.notna().all()
            assert other.notna().all()
    for role in {*listed} & {"test"}:
        assert (assigned(frame, listed)["split"][frame["listed"] == role] == role).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(SAMPLE, min_size=2, max_size=30), st.lists(SAMPLE, max_size=10), LISTED, st.randoms())
def test_order_does_not_matter_and_more_samples_move_none(samples, more, listed, random):
    frame = mixed([*samples, *more], listed)
    order = list(range(len(frame)))
    random.shuffle(order)
    whole = assign_archive(frame, listed, SETTINGS)
    shuffled = assign_archive(frame.iloc[order].reset_index(drop=True), listed, SETTINGS)
    assert shuffled.equals(whole.iloc[order].reset_index(drop=True))
    before = assign_archive(frame.iloc[: len(samples)], listed, SETTINGS)["split"]
    after = whole["split"].iloc[: len(samples)]
    both = before.notna() & after.notna()
    assert (before[both] == after[both]).all()


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
    frame = archive([role if role in listed else None for role in ROLES * 20])
    got = proved(frame, listed)
    assert got.proof == proof
    assert [got.detail[pair] for pair in ("train/val", "train/test", "val/test")] == pairs
    assert ("test split was carved" in " ".join(got.warnings)) == (got.detail["train/test"] == "none")
    assert len(got.warnings) == 2
    assert got.least_m == {}


def test_products_are_kept_together_and_the_proof_says_so():
    group = [f"S2A_{k % 40}" for k in range(400)]
    frame = archive([None] * 400, cell=group, group=group)
    got = proved(frame)
    assert got.proof == "none"
    assert set(got.basis.values()) == {BASIS["groups"]}
    assert all("groups are kept together" in text for text in got.warnings)
    torn = assigned(frame)
    torn.loc[torn.index[torn["split"] == "train"][0], "split"] = "test"
    with pytest.raises(SplitError, match="cell is in more than one split"):
        prove_archive(torn, ())


def town(count: int, cells: int = 6, lon: float = 20.0) -> tuple[list[str], list[shapely.Polygon]]:
    """A square of `count` by `count` samples cut side by side, in cells of `cells` by `cells`."""
    places = [(i, j) for i in range(count) for j in range(count)]
    return [f"h{i // cells}-{j // cells}" for i, j in places], [square(lon, 50, EDGE * i, EDGE * j) for i, j in places]


def test_carved_on_known_ground_is_proved():
    cell, shapes = town(30)
    frame = archive([None] * len(cell), cell, shapes=shapes)
    got = proved(frame)
    assert (got.proof, got.warnings) == ("proved", ())
    assert set(got.basis.values()) == {BASIS["ground"]}
    # squares of geodesics are not cut side by side to the millimetre
    assert all(value is None or value > np.sqrt(2) * EDGE * 0.998 for value in got.least_m.values())
    assert "near another split" in set(assign_archive(frame, (), SETTINGS)["reason"])


def test_carved_too_near_is_refused():
    cell, shapes = town(12)
    frame = archive([None] * len(cell), cell, shapes=shapes)
    rows = assigned(frame)
    near = rows["reason"] == "near another split"
    roles = rows.dropna(subset="split").drop_duplicates("cell").set_index("cell")["split"]
    torn = rows.assign(split=rows["split"].where(~near, rows["cell"].map(roles))).dropna(subset="split")
    with pytest.raises(
        SplitError, match=r"\d+ of \d+ (val|test) samples lie nearer than one tile diagonal to a .*\(diagonal 905 m\)"
    ):
        prove_archive(torn.reset_index(drop=True), ())


def test_lists_that_come_too_near_are_reported_not_refused():
    shapes = [square(20, 50, EDGE * k) for k in (0, 1, 2, 10, 20)]
    frame = archive(["train", "test", "test", "test", "val"], shapes=shapes)
    got = proved(frame, ("train", "val", "test"))
    assert got.proof == "given"
    assert got.detail == {"train/val": "proved", "train/test": "given", "val/test": "proved"}
    assert got.least_m["train/test"] == pytest.approx(0, abs=0.3)
    assert len(got.warnings) == 1
    assert "2 of 3 test samples lie nearer than one tile diagonal to a train sample" in got.warnings[0]
    assert "the closest Crop/1.tif at 0 m from Crop/0.tif (diagonal 905 m)" in got.warnings[0]


def test_lists_that_are_apart_are_proved():
    shapes = [square(20, 50, EDGE * k) for k in (0, 5, 10)]
    got = proved(archive(["train", "val", "test"], shapes=shapes), ("train", "val", "test"))
    assert (got.proof, got.warnings) == ("proved", ())


def test_published_lists_lose_nothing_to_the_buffer():
    cell, shapes = town(16)
    listed = ["test" if k % 7 == 0 else "train" for k in range(len(cell))]
    result = assigned(archive(listed, cell, shapes=shapes), ("train", "test"))
    for role in ("train", "test"):
        dropped = result[(result["listed"] == role) & result["reason"].notna()]
        # what is missing was carved to val first
        roles = result.dropna(subset="split").drop_duplicates("cell").set_index("cell")["split"]
        assert role == "train" or dropped.empty
        assert not set(dropped["cell"]) & set(result.loc[result["split"] == "train", "cell"]), roles


@pytest.mark.parametrize(("lon", "lat"), [(20, 50), (179.99, -17), (-180, 65), (5.999, 0), (100, 83)])
def test_both_measures_agree_everywhere(lon, lat):
    """The assigner's zones, the proof's planes, and geodesics between corners."""
    shapes = np.array([square(lon, lat), square(lon, lat, 3 * EDGE, 2 * EDGE)], dtype=object)
    expected = np.hypot(2 * EDGE, EDGE)
    assert diagonals(shapes) == pytest.approx(np.sqrt(2) * EDGE, rel=2e-3)
    assert proved_diagonals(shapes) == pytest.approx(np.sqrt(2) * EDGE, rel=1e-4)
    ours, others = np.array([0]), np.array([1])
    found = nearest(shapes, ours, others, 0.0)
    assert found.metres == pytest.approx(expected, rel=1e-3)
    assert (found.near, found.worst) == (0, None)
    small, wide = np.array([1.0]), np.array([expected * 1.003])
    for our_m, other_m in ((wide, small), (small, wide)):
        assert [len(rows) for rows in near_outlines(shapes[:1], shapes[1:], our_m, other_m)] == [1, 1]
    assert not len(near_outlines(shapes[:1], shapes[1:], np.array([expected * 0.997]), small)[0])
    assert nearest(shapes, ours, others, -0.6).near == 1


@pytest.mark.parametrize("edge", [64.0, 3_840.0, 23_000.0, 140_000.0])
@pytest.mark.parametrize(("lon", "lat"), [(15, 50), (179.9, 0.1), (29.9, -66)])
def test_the_larger_of_two_sets_the_distance_for_both_measures(edge, lon, lat):
    """Everywhere around a large outline, what the assigner keeps the proof accepts, and the other way about."""
    shapes = [square(lon, lat, edge=edge)]
    reach = max(edge, EDGE) * np.sqrt(2)
    for share in (0.97, 1.03):
        shapes.append(square(lon, lat, edge + share * reach, 0))
        shapes.append(square(lon, lat, 0, -share * reach - EDGE))
        shapes.append(square(lon, lat, -share * reach - EDGE, edge / 2))
    array = np.array(shapes, dtype=object)
    metres = diagonals(array)
    near = near_outlines(array[:1], array[1:], metres[:1], metres[1:])[1]
    assert sorted(set(near.tolist())) == [0, 1, 2]
    back = near_outlines(array[1:], array[:1], metres[1:], metres[:1])[0]
    assert sorted(set(back.tolist())) == [0, 1, 2]
    for row in range(1, 7):
        assert nearest(array, np.array([0]), np.array([row]), 0.002).near == int(row <= 3)
        assert nearest(array, np.array([row]), np.array([0]), 0.002).near == int(row <= 3)


def test_an_odd_outline_far_away_changes_nothing():
    """One coarse sample 280 km away used to widen the buffer of all."""
    cell, shapes = town(24)
    before = assign_archive(archive([None] * len(cell), cell, shapes=shapes), (), SETTINGS)
    frame = archive([None] * (len(cell) + 1), [*cell, "far"], shapes=[*shapes, square(24, 50, edge=6 * EDGE)])
    after = assign_archive(frame, (), SETTINGS)
    assert after.iloc[:-1].equals(before)
    assert (before["split"] == "train").any()
    assert proved(frame).proof == "proved"


@pytest.mark.parametrize("edge", [40 * EDGE, EDGE / 10])
def test_a_few_odd_outlines_amid_the_others_empty_no_split(edge):
    """Each may land in test; it is the odd one that goes, or a handful around a small one."""
    cell, shapes = town(24)
    before = assign_archive(archive([None] * len(cell), cell, shapes=shapes), (), SETTINGS)["split"]
    odd = [square(20, 50, (4 * k + 0.5) * EDGE, (20 - 4 * k + 0.5) * EDGE, edge) for k in range(5)]
    frame = archive([None] * (len(cell) + 5), [*cell, *(f"odd{k}" for k in range(5))], shapes=[*shapes, *odd])
    after = assign_archive(frame, (), SETTINGS)["split"].iloc[: len(cell)]
    lost = before.notna() & after.isna()
    assert lost.sum() <= (0 if edge > EDGE else 5 * 9)
    assert (before[~lost].fillna("") == after[~lost].fillna("")).all()
    assert proved(frame).proof == "proved"


def test_a_listed_outline_never_gives_way():
    shapes = [square(20, 50), square(20, 50, 3 * EDGE), square(20, 50, 2 * EDGE, edge=9 * EDGE)]
    frame = archive(["train", "train", "test"], shapes=shapes)
    result = assign_archive(frame, ("test",), SETTINGS)
    assert result["split"].tolist() == [None, None, "test"]


def test_an_outline_without_area_is_refused():
    frame = archive(["train", "test"], shapes=[square(20, 50), square(20, 50, 9 * EDGE, edge=0)])
    rows = frame.assign(split=["train", "test"])
    with pytest.raises(SplitError, match="outline covers no ground"):
        prove_archive(rows, ("train", "test"))


def test_archives_of_ground_and_products_say_what_keeps_them_apart():
    """Products of known ground do stand in two splits there."""
    cell, shapes = town(20)
    count = len(cell)
    group = [f"p{k % 5}" for k in range(count)] + [f"q{k % 30}" for k in range(120)]
    places = [*shapes, *[None] * 120]
    got = proved(frame := archive([None] * (count + 120), [*cell, *group[count:]], group=group, shapes=places))
    kept = assigned(frame).dropna(subset="split")
    assert kept.groupby("group")["split"].nunique().max() > 1
    assert set(got.basis.values()) == {BASIS["ground or groups"]}
    assert "kept together" not in " ".join([*got.basis.values(), *got.warnings])
    parts = kept[kept["split"].isin(["train", "test"])]
    said = f"by product for {parts['geometry'].isna().sum()} of {len(parts)} samples of the two"
    assert said in got.warnings[-1]
    assert archive_terms(frame, ()).cells == "ground cells and products"
    loose = proved(archive([None] * (count + 120), [*cell, *group[count:]], shapes=places))
    assert set(loose.basis.values()) == {BASIS["ground or random"]}
    assert "at random for" in loose.warnings[-1]


def test_advice_suits_archives():
    content = archive_terms(archive([None]), ())
    assert content.cells == "distinct images"
    assert "tiles or dates" not in content.remedy["test"]
    assert "source.test" in content.remedy["test"]
    ground = archive_terms(archive([None], shapes=[square(0, 0)]), ("test",))
    assert ground.cells == "ground cells"
    assert "resolution" in ground.remedy["val"]
    assert "correct the list" in ground.remedy["test"]
    assert archive_terms(archive([None], group=["a"]), ()).cells == "products"
