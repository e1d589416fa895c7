"""Products as ESA and its users have written them over the years, made from a sample by editing its documents."""

import re

import pytest

from agri_assets.errors import SceneError
from agri_assets.scenes.safe import read_safe

NO_LIST = (r"<BOA_ADD_OFFSET_VALUES_LIST>.*?</BOA_ADD_OFFSET_VALUES_LIST>", "")


def _edit(product, *changes, name="MTD_MSIL2A.xml"):
    path = next(product.rglob(name))
    content = path.read_text()
    for pattern, replacement in changes:
        content, count = re.subn(pattern, replacement, content, flags=re.DOTALL)
        assert count, pattern
    path.write_text(content)


def _baseline(number):
    return r"(<PROCESSING_BASELINE>)[^<]*", rf"\g<1>{number}"


@pytest.mark.parametrize("baseline", ["02.12", "02.13", "02.14", "03.00", "03.01"])
def test_baselines_without_an_offset(products, baseline):
    _edit(products[0], _baseline(baseline), NO_LIST)
    record = read_safe(products[0])
    assert (record.processing_baseline, record.radiometry.offset) == (baseline, 0)


@pytest.mark.parametrize("baseline", ["04.00", "05.00", "05.09", "05.10", "05.11", "05.12", "99.99"])
def test_baselines_with_an_offset(products, baseline):
    _edit(products[0], _baseline(baseline))
    assert {band.offset for band in read_safe(products[0]).bands.values()} == {-1000}


def test_a_users_own_sen2cor_run_without_an_offset(products):
    _edit(products[0], _baseline("99.99"), NO_LIST)
    assert read_safe(products[0]).radiometry.offset == 0


def test_the_older_element_and_file_names(products):
    """Sen2Cor before 2.8: suffixed element names, images named `L2A_T...`."""
    before = read_safe(products[0])
    for path in [*products[0].rglob("*.jp2")]:
        path.rename(path.with_name(f"L2A_{path.name}"))
    _edit(
        products[0],
        NO_LIST,
        _baseline("02.06"),
        (r"(/R\d\dm/)", r"\1L2A_"),
        (r"IMAGE_FILE>", "IMAGE_FILE_2A>"),
        (r"PRODUCT_URI>", "PRODUCT_URI_2A>"),
        (r"Level-2A<", "Level-2Ap<"),
        (r"(</?)(BOA_QUANTIFICATION_VALUE)", r"\1L2A_\2"),
        (r"(</?)(Product_Info|Product_Organisation|Product_Image_Characteristics)>", r"\1L2A_\2>"),
    )
    (products[0] / "MTD_MSIL2A.xml").rename(products[0] / "MTD_MSIL2a.xml")
    record = read_safe(products[0])
    assert record.readable
    assert record.bands["B02"].href.endswith("_B02_10m.jp2")
    assert "/L2A_T31TCJ" in record.bands["B02"].href
    assert record.acquisition == before.acquisition


def test_an_old_granule_names_its_datastrip_too(products):
    """Before 2017 the time in a granule's name was that of its processing."""
    before = read_safe(products[0])
    granule = next((products[0] / "GRANULE").iterdir())
    old = granule.with_name("S2A_USER_MSI_L2A_TL_SGS__20240101T000000_A041000_T31TCJ_N02.04")
    granule.rename(old)
    (old / "MTD_TL.xml").rename(old / "S2A_USER_MTD_L2A_TL_SGS__20240101T000000_A041000_T31TCJ.xml")
    _edit(products[0], (f"GRANULE/{granule.name}", f"GRANULE/{old.name}"))
    name = "S2A_USER_MTD_SAFL2A_PDMC_20240101T000000_R051_V20230611T104540.xml"
    (products[0] / "MTD_MSIL2A.xml").rename(products[0] / name)
    record = read_safe(products[0])
    assert record.acquisition == before.acquisition
    assert record.shape == before.shape
    assert record.readable


@pytest.mark.parametrize("attribute", ["datastripIdentifier", "datatakeIdentifier"])
def test_without_identifiers_the_same_acquisition_is_still_known(products, attribute):
    before = read_safe(products[0])
    _edit(products[0], (f'{attribute}="[^"]*"', f'{attribute}="lost"'))
    assert read_safe(products[0]).acquisition == before.acquisition


def test_a_reprocessed_product_is_the_same_acquisition(products):
    before = read_safe(products[0])
    _edit(products[0], _baseline("05.11"), (r"_N05.09", "_N05.11"), (r"_2APS_\d+T\d+", "_ESRI_20250101T000000"))
    after = read_safe(products[0])
    assert after.acquisition == before.acquisition
    assert after.processing_baseline != before.processing_baseline


def test_converted_products_have_tiffs(products):
    _edit(products[0], ("JPEG2000", "GeoTIFF"))
    for path in [*products[0].rglob("*.jp2")]:
        path.rename(path.with_suffix(".tif"))
    record = read_safe(products[0])
    assert record.readable
    assert record.bands["B02"].href.endswith(".tif")


def test_a_run_at_20_m_alone_is_on_that_grid(products):
    _edit(products[0], (r"<IMAGE_FILE>[^<]*_10m</IMAGE_FILE>", ""))
    record = read_safe(products[0])
    assert (record.transform[0], record.shape) == (20, (192, 192))


def test_products_of_several_granules_are_refused(products):
    _edit(products[0], (r"(<Granule .*?</Granule>)", r"\1\1"))
    with pytest.raises(SceneError, match=r"2 granules.*each tile's own product"):
        read_safe(products[0])


@pytest.mark.parametrize(
    ("pattern", "replacement", "sides"),
    [
        (r"(<PRODUCT_URI>[^<]*)T31TCJ", r"\1T31TDJ", ("31TCJ", "31TDJ")),
        (r'(granuleIdentifier="[^"]*)T31TCJ', r"\1T31TDJ", ("31TCJ", "31TDJ")),
        (r"(<IMAGE_FILE>[^<]*)T31TCJ_(\w*_B02_10m)", r"\1T31TDJ_\2", ("31TCJ", "31TDJ")),
        (r"(<PRODUCT_URI>S2A_MSIL)2A", r"\g<1>1C", ("Level-2A", "MSIL1C")),
        (r'(<BOA_ADD_OFFSET band_id="3">)-1000', r"\g<1>0", ("-1000", "3: 0")),
        (r'(<BOA_ADD_OFFSET band_id=)"3">-1000', r'\1"2">0', ("band_id '2'", "-1000", "0")),
        (r'(<BOA_ADD_OFFSET band_id="3">)-1000', r"\g<1>-1000.5", ("-1000.5", "whole number")),
        (r"(<BOA_QUANTIFICATION_VALUE[^>]*>)10000", r"\g<1>1000", ("1000", "10000")),
        (*_baseline("03.01"), ("03.01", "-1000")),
        (*NO_LIST, ("05.09", "absent")),
    ],
)
def test_statements_that_exclude_each_other_are_quoted(products, pattern, replacement, sides):
    _edit(products[0], (pattern, replacement))
    with pytest.raises(SceneError) as caught:
        read_safe(products[0])
    assert all(side in str(caught.value) for side in sides), caught.value
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "replacement", "match"),
    [
        (r"(<TILE_ID[^>]*>[^<]*)T31TCJ", r"\1T31TDJ", "31TCJ.*31TDJ"),
        (r"EPSG:32631", "EPSG:32632", "'EPSG:32632'.*EPSG:32631"),
        (r"<ULX>\d+", "<ULX>900000", "Geoposition.*31TCJ is 10980 x 10980"),
        (r"<NROWS>\d+", "<NROWS>20000", "Geoposition"),
        (r"<NROWS>\d+", "<NROWS>-5", "no north-up grid"),
        (r"<NROWS>\d+", "<NROWS>1.5", "whole number"),
        (r"<NCOLS>\d+</NCOLS>", "", "no Size with NROWS, NCOLS"),
        (r"<XDIM>10", "<XDIM>20", "no north-up grid"),
        (r"<ULY>\d+", "<ULY>inf", "expected a number"),
        (r"<ULY>\d+", "<ULY>1_000", "expected a number"),
    ],
)
def test_a_tile_that_is_not_where_it_should_be_is_refused(products, pattern, replacement, match):
    _edit(products[0], (pattern, replacement), name="MTD_TL.xml")
    with pytest.raises(SceneError, match=match) as caught:
        read_safe(products[0])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "replacement", "match"),
    [
        (r"(<PROCESSING_BASELINE>)[^<]*", "\\1\N{SUPERSCRIPT TWO}.\N{SUPERSCRIPT TWO}", "expected a form"),
        (r"(<PRODUCT_START_TIME>)[^<]*", r"\g<1>0001-01-01T00:00:00+23:59", "not a time"),
        (r"(<EXT_POS_LIST>)[\d.]+", r"\g<1>91", "latitude 91"),
        (r"(<EXT_POS_LIST>)[\d.]+", r"\g<1>1e99", "latitude 1e"),
        (r"(<Cloud_Coverage_Assessment>)[\d.]+", r"\g<1>250", "expected 0 to 100"),
        (r"(<Cloud_Coverage_Assessment>)[\d.]+", r"\g<1>nan", "expected a number"),
        (r"(<IMAGE_FILE>)GRANULE", r"\1/GRANULE", "leads out of the product"),
        (r"(<IMAGE_FILE>GRANULE)/", r"\1\\\\", "leads out of the product"),
        (r"<IMAGE_FILE>.*</IMAGE_FILE>", "", "lists no band images"),
        (r"encoding=.UTF-8.", 'encoding="klingon"', "metadata cannot be read"),
        (r"encoding=.UTF-8.", 'encoding="UTF-16"', "metadata cannot be read"),
        (r"^.*$", "", "metadata cannot be read"),
        (r"^.*$", "<a>" * 100_000, "metadata cannot be read"),
        (r"^.*$", "<a>" * 100_000 + "</a>" * 100_000, "PROCESSING_LEVEL"),
    ],
)
def test_nonsense_is_refused_in_one_line(products, pattern, replacement, match):
    _edit(products[0], (pattern, replacement))
    with pytest.raises(SceneError, match=match) as caught:
        read_safe(products[0])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
