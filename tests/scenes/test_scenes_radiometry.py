import pytest
from hypothesis import given
from hypothesis import strategies as st

from agri_assets.errors import SceneError
from agri_assets.scenes.radiometry import CLIPPED, decide_safe, decide_stac

OLD = st.tuples(st.integers(0, 3), st.integers(0, 99)).map(lambda pair: f"{pair[0]:02d}.{pair[1]:02d}")
NEW = st.tuples(st.integers(4, 98), st.integers(0, 99)).map(lambda pair: f"{pair[0]:02d}.{pair[1]:02d}")
ALL_BANDS = {str(band): -1000 for band in range(13)}


@given(OLD)
def test_old_baseline_without_a_list_adds_nothing(baseline):
    assert decide_safe("p", baseline, None, 10000).offset == 0


@given(NEW)
def test_new_baseline_with_its_list_adds_minus_1000(baseline):
    decided = decide_safe("p", baseline, ALL_BANDS, 10000)
    assert decided.offset == -1000
    assert decided.evidence["PROCESSING_BASELINE"] == baseline


@given(NEW)
def test_new_baseline_without_a_list_contradicts_itself(baseline):
    with pytest.raises(SceneError, match=f"{baseline}.*absent"):
        decide_safe("p", baseline, None, 10000)


@given(OLD)
def test_old_baseline_with_a_list_quotes_both_sides(baseline):
    with pytest.raises(SceneError, match=rf"{baseline} means an offset of 0.*BOA_ADD_OFFSET -1000"):
        decide_safe("p", baseline, ALL_BANDS, 10000)


def test_sen2cor_run_by_a_user_is_decided_by_its_list_alone():
    assert decide_safe("p", "99.99", None, 10000).offset == 0
    assert decide_safe("p", "99.99", ALL_BANDS, 10000).offset == -1000


def test_another_quantification_is_refused():
    with pytest.raises(SceneError, match="BOA_QUANTIFICATION_VALUE is 1000"):
        decide_safe("p", "05.09", ALL_BANDS, 1000)


@pytest.mark.parametrize("offsets", [{"0": -1000, "1": 0}, {"0": -500, "1": -500}])
def test_offsets_that_differ_or_are_unknown_are_refused(offsets):
    with pytest.raises(SceneError, match="must be 0 or -1000 for all bands alike"):
        decide_safe("p", "05.09", offsets, 10000)


@pytest.mark.parametrize(
    ("baseline", "applied", "declared", "offset"),
    [
        ("05.09", True, {"B02": -1000}, 0),
        ("05.11", None, {"B02": -1000}, -1000),
        ("05.11", False, {"B02": -1000}, -1000),
        ("05.11", None, {}, -1000),
        ("05.11", False, {}, -1000),
        ("02.14", False, {"B02": 0}, 0),
        ("02.12", None, {}, 0),
    ],
)
def test_stac_statements(baseline, applied, declared, offset):
    assert decide_stac("item", baseline, applied, declared).offset == offset


def test_stac_contradiction_quotes_both_sides():
    with pytest.raises(SceneError, match=r"baseline 05\.09 means an offset of -1000.*raster:bands offset 0"):
        decide_stac("item", "05.09", False, {"B02": 0})


@pytest.mark.parametrize("baseline", ["", "5", "five.nine", "05,09"])
def test_a_baseline_that_is_none_is_refused(baseline):
    with pytest.raises(SceneError, match="processing baseline"):
        decide_stac("item", baseline, None, {})


@pytest.mark.parametrize("applied", ["true", 1, 0, "", []])
def test_a_flag_that_is_none_is_refused(applied):
    with pytest.raises(SceneError, match=r"boa_offset_applied is .* expected true or false"):
        decide_stac("item", "05.09", applied, {})


@pytest.mark.parametrize(
    ("baseline", "applied", "declared", "clipped"),
    [
        ("05.09", True, {}, True),
        ("99.99", True, {"B02": -1000}, True),
        ("02.14", True, {}, False),
        ("05.09", None, {}, False),
    ],
)
def test_what_a_provider_clipped_is_told(baseline, applied, declared, clipped):
    decided = decide_stac("item", baseline, applied, declared)
    assert (CLIPPED in decided.evidence) is clipped
    assert ("clipped" in decided.decision) is clipped
