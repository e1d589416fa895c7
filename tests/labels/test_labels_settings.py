import pytest
from pydantic import TypeAdapter, ValidationError

from agri_assets.labels.settings import Labels

PARCELS = {"kind": "parcels", "path": "parcels.gpkg"}
WORLDCOVER = {"kind": "worldcover"}


def read(**values):
    return TypeAdapter(Labels).validate_python(values)


@pytest.mark.parametrize(
    ("codes", "why"),
    [
        ([10, 10], "names class 10 twice; keep one"),
        ([0], "0 is no class of WorldCover; its codes are 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100"),
        ([40, 41], "41 is no class"),
        ([-1], "-1 is no class"),
        ([400], "400 is no class"),
        ([True], "True is no class"),
        ([10.5], "10.5 is no class"),
        (["Cropland"], "'Cropland' is no class"),
        ([[40]], r"\[40\] is no class"),
        ([], "names no class"),
        (40, "40 is no list"),
        ({40: True}, "is no list"),
    ],
)
def test_codes_that_worldcover_does_not_have_are_refused(codes, why):
    with pytest.raises(ValidationError, match=why) as caught:
        read(**WORLDCOVER, agricultural=codes)
    assert caught.value.errors()[0]["type"] == "value_error", "said in our own words"


@pytest.mark.parametrize("codes", [[30, 40], (30, 40), "30, 40", ["30", "40"]])
def test_codes_are_a_list_or_text_of_one(codes):
    assert read(**WORLDCOVER, agricultural=codes).agricultural == (30, 40)


def test_blanks_of_unset_variables_mean_that_nothing_was_said():
    limits = dict.fromkeys(("positive", "negative", "min_labelled"), " ")
    assert read(**WORLDCOVER, **limits, path="", sign="", year="", collection="", agricultural="") == read(**WORLDCOVER)
    assert read(**PARCELS, **limits, layer="", attribute="", mapping=" ", outside=None) == read(**PARCELS)


def test_numbers_may_be_text():
    assert read(**WORLDCOVER, year="2020", positive="0.6").year == 2020
    with pytest.raises(ValidationError, match="2020 or 2021"):
        read(**WORLDCOVER, year="2019")


@pytest.mark.parametrize("key", ["path", "mapping"])
def test_parcels_at_an_address_are_refused(key):
    given = {**PARCELS, "attribute": "crop", "mapping": "m.csv", key: "https://example.com/lpis.gpkg"}
    with pytest.raises(ValidationError, match=r"'https://example.com/lpis.gpkg' is an address; only local files"):
        read(**given)


def test_settings_survive_being_written_and_read():
    for labels in (read(**WORLDCOVER, agricultural=[40, 10]), read(**PARCELS)):
        assert read(**labels.model_dump()) == labels
        assert TypeAdapter(Labels).validate_json(labels.model_dump_json()) == labels
