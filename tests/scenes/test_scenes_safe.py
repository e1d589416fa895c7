import json
import shutil

import pytest

from agri_assets.errors import SceneError
from agri_assets.scenes.safe import read_safe

REAL = (
    "S2A_MSIL2A_20190212T192651_N0212_R013_T07HFE_20201007T160857.SAFE",
    "S2A_MSIL2A_20230625T234621_N0509_R073_T01WCP_20230626T022158.SAFE",
    "S2A_MSIL2A_20230821T221941_N0509_R029_T01KAB_20230822T021825.SAFE",
    "S2B_MSIL2A_20220413T150759_N0400_R025_T33XWJ_20220414T082126.SAFE",
    "esa_S2B_MSIL2A_20210122T133229_N0214_R081_T22HBD_20210122T155500.SAFE",
)
KEYS = {"B01": "coastal", "B02": "blue", "B04": "red", "B08": "nir", "B8A": "nir08", "B09": "nir09", "B11": "swir16"}


@pytest.mark.parametrize("name", REAL)
def test_real_products_agree_with_an_independent_reader(shared_data, name):
    folder = shared_data / "safe_metadata" / name
    record, expected = read_safe(folder), json.loads((folder / "expected_output.json").read_text())
    truth = expected["properties"]
    assert f"MGRS-{record.mgrs_tile}" == truth["grid:code"]
    assert record.platform == truth["platform"]
    assert record.acquired.isoformat() == truth["datetime"].replace("Z", "+00:00")
    assert record.processing_baseline == truth["s2:processing_baseline"]
    assert record.cloud_cover == pytest.approx(truth["eo:cloud_cover"])
    assert record.crs == truth.get("proj:code", f"EPSG:{truth.get('proj:epsg')}")
    assert record.footprint["type"] == expected["geometry"]["type"]
    assert not record.readable
    for band, key in KEYS.items():
        asset = expected["assets"][key]
        assert record.bands[band].href == str((folder / asset["href"]).resolve())
        assert record.bands[band].resolution == asset["proj:transform"][0]
        assert record.bands[band].nodata == 0
    blue = expected["assets"]["blue"]
    assert list(record.transform) == blue["proj:transform"]
    assert list(record.shape) == blue["proj:shape"]


@pytest.mark.parametrize("name", REAL)
def test_the_offset_is_added_from_baseline_04_00_on(shared_data, name):
    record = read_safe(shared_data / "safe_metadata" / name)
    expected = -1000 if record.processing_baseline >= "04.00" else 0
    assert record.radiometry.offset == expected
    assert {band.offset for band in record.bands.values()} == {expected}
    assert record.classification is not None
    assert record.classification.offset == 0


def test_a_product_of_one_xml_file_takes_its_grid_from_the_tiles_name(shared_data):
    name = "S2A_MSIL2A_20180721T053721_N0212_R062_T43MDV_20201011T181419.SAFE"
    record = read_safe(shared_data / "safe_metadata" / name)
    assert record.scene_id == "S2A_43MDV_20180721_0_L2A"
    assert (record.crs, record.transform) == ("EPSG:32743", (10, 0, 399960, 0, -10, 10_000_000))


def test_level_1c_is_refused_in_one_line(shared_data):
    with pytest.raises(SceneError, match="Level-1C") as caught:
        read_safe(next((shared_data / "safe_metadata").glob("S2A_MSIL1C*")))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_sample_product_is_readable(products):
    record = read_safe(products[0])
    assert record.readable
    assert record.radiometry.offset == -1000
    assert record.shape == (384, 384)
    assert {name: band.resolution for name, band in record.bands.items()} == {
        "B01": 60, "B02": 10, "B03": 10, "B04": 10, "B05": 20, "B06": 20, "B07": 20, "B08": 10, "B8A": 20, "B09": 60,
        "B11": 20, "B12": 20,
    }  # fmt: skip


def test_metadata_without_rasters_is_not_readable(products):
    for raster in products[0].rglob("*.jp2"):
        raster.unlink()
    assert not read_safe(products[0]).readable


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("Level-2A</PROCESSING_LEVEL>", "Level-1C</PROCESSING_LEVEL>", "PROCESSING_LEVEL"),
        ("<SPACECRAFT_NAME>Sentinel-2", "<SPACECRAFT_NAME>Landsat-", "not a Sentinel-2 satellite"),
        ("GRANULE/L2A", "../../GRANULE/L2A", "leads out of the product"),
        ("<n1:", "<n1:broken ", "metadata cannot be read"),
        ("PRODUCT_START_TIME>20", "PRODUCT_START_TIME>x", "not a time"),
        ('BOA_QUANTIFICATION_VALUE unit="none">10000', 'BOA_QUANTIFICATION_VALUE unit="none">nan', "expected a number"),
        ("<EXT_POS_LIST>", "<EXT_POS_LIST>1 ", "EXT_POS_LIST"),
    ],
)
def test_broken_metadata_is_refused_by_name(products, old, new, match):
    path = products[0] / "MTD_MSIL2A.xml"
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new))
    with pytest.raises(SceneError, match=match) as caught:
        read_safe(products[0])
    assert "\n" not in str(caught.value)


def test_xml_entities_are_refused(products):
    bomb = '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'
    (products[0] / "MTD_MSIL2A.xml").write_text(bomb)
    with pytest.raises(SceneError, match="metadata cannot be read"):
        read_safe(products[0])


def test_the_old_spelling_of_the_metadata_name_is_read(products):
    path = products[0] / "MTD_MSIL2A.xml"
    shutil.move(path, path.with_name("MTD_MSIL2a.xml"))
    assert read_safe(products[0]).level == "L2A"


def test_a_folder_that_is_no_product_is_refused(tmp_path):
    with pytest.raises(SceneError, match="not a Sentinel-2 Level-2A product"):
        read_safe(tmp_path)
    with pytest.raises(SceneError, match="no such file or directory"):
        read_safe(tmp_path / "absent")


def test_the_fingerprint_follows_the_files(products):
    before = read_safe(products[0]).fingerprint
    assert read_safe(products[0]).fingerprint == before
    raster = next(products[0].rglob("*_B02_10m.jp2"))
    raster.write_bytes(raster.read_bytes()[:-10])
    assert read_safe(products[0]).fingerprint != before
