"""A product or item whose names, fields and pixels say different things is refused, with both sides quoted."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio

from agri_assets.errors import SceneError
from agri_assets.scenes.agreement import sensed
from agri_assets.scenes.catalog import build_catalog
from agri_assets.scenes.inventory import read_inventory, take_inventory
from agri_assets.scenes.safe import read_safe
from agri_assets.scenes.source import open_source
from agri_assets.scenes.stac import read_item
from agri_assets.scenes.stac_assets import band_assets
from agri_assets.scenes.stac_document import open_item

SIX = "sentinel2_stac/sentinel-2-l2a"
NAME = "S2A_33TWL_20230815_0_L2A"


def _copy(source: Path, target: Path) -> Path:
    shutil.copytree(source, target, copy_function=shutil.copy)
    for path in (target, *target.iterdir()):
        path.chmod(0o755)
    return target


@pytest.fixture
def item(shared_data, tmp_path) -> Path:
    """A real item with its rasters, free to be changed."""
    return _copy(shared_data / SIX / NAME, tmp_path / "items" / NAME) / f"{NAME}.json"


def _edit(path: Path, change) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def _refusal(path: Path) -> str:
    with pytest.raises(SceneError) as caught:
        read_item(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "platform", "first"),
    [
        ("S2A_MSIL2A_20230611T104540_N0509_R008_T31TCJ_20230611T145400.SAFE", "2a", "2023-06-11T10:45:40"),
        ("S2A_MSIL2A_20190101T000001_R116_T58UFE_20201007T214651", "2a", "2019-01-01T00:00:01"),
        (
            "S2A_USER_PRD_MSIL2A_PDMC_20160504T225644_R094_V20160504T105917_20160504T105917.SAFE",
            "2a",
            "2016-05-04T10:59:17",
        ),
        ("S2B_1WCP_20230815_0_L2A", "2b", "2023-08-15T00:00:00"),
        ("S2C_T13TDE_20250719T180004_L2A", "2c", "2025-07-19T18:00:04"),
    ],
)
def test_names_that_carry_satellite_and_time(name, platform, first):
    found = sensed(name)
    assert found.platform == f"sentinel-{platform}"
    assert f"{found.first:%Y-%m-%dT%H:%M:%S}" == first


@pytest.mark.parametrize("name", ["field 7", "S2A_33TWL_20231315_0_L2A", "LC08_L1TP_190028_20230815"])
def test_other_names_carry_nothing(name):
    assert sensed(name) is None


@pytest.mark.parametrize(
    ("pattern", "replacement", "sides"),
    [
        (r"(<SPACECRAFT_NAME>)Sentinel-2A", r"\1Sentinel-2B", ("PRODUCT_URI", "S2A_MSIL2A_", "'Sentinel-2B'")),
        (r"(<PRODUCT_START_TIME>)2023", r"\g<1>2022", ("PRODUCT_URI", "_20230611T", "'2022-06-11T")),
        (r"(<SPACECRAFT_NAME>)Sentinel-2A", r"\1Landsat-8", ("MTD_MSIL2A.xml", "'Landsat-8'")),
    ],
)
def test_a_product_must_be_what_its_name_says(products, pattern, replacement, sides):
    path = products[0] / "MTD_MSIL2A.xml"
    content, count = re.subn(pattern, replacement, path.read_text())
    assert count == 1
    path.write_text(content)
    with pytest.raises(SceneError) as caught:
        read_safe(products[0])
    assert all(side in str(caught.value) for side in sides), caught.value


@pytest.mark.parametrize("band", [1, 3, 12])
def test_an_incomplete_list_of_offsets_names_the_bands(products, band):
    path = products[0] / "MTD_MSIL2A.xml"
    content, count = re.subn(rf'<BOA_ADD_OFFSET band_id="{band}">-1000</BOA_ADD_OFFSET>', "", path.read_text())
    assert count == 1
    path.write_text(content)
    with pytest.raises(SceneError, match=f"no BOA_ADD_OFFSET for {({1: 'B02', 3: 'B04', 12: 'B12'})[band]};"):
        read_safe(products[0])


def test_the_offset_of_a_band_without_reflectance_may_be_absent(products):
    path = products[0] / "MTD_MSIL2A.xml"
    path.write_text(path.read_text().replace('<BOA_ADD_OFFSET band_id="10">-1000</BOA_ADD_OFFSET>', ""))
    assert read_safe(products[0]).radiometry.offset == -1000


OTHER = {"grid:code": "MGRS-31TCJ", "mgrs:utm_zone": 31, "mgrs:latitude_band": "T", "mgrs:grid_square": "CJ"}


@pytest.mark.parametrize(
    ("properties", "sides"),
    [
        ({"grid:code": "MGRS-31TCJ"}, ("'MGRS-31TCJ'", "33TWL")),
        ({"s2:product_uri": "S2A_MSIL2A_20230815T095031_N0509_R079_T33TWM_20230815T155057.SAFE"}, ("33TWL", "T33TWM")),
        ({"platform": "sentinel-2b"}, ("id is", NAME, "'sentinel-2b'")),
        ({"platform": "landsat-8"}, ("'landsat-8'",)),
        ({"datetime": "2022-08-15T09:58:11Z"}, ("id is", NAME, "'2022-08-15T09:58:11Z'")),
        ({"s2:processing_baseline": 5.09}, ("s2:processing_baseline is 5.09 (float)", "'05.11'")),
    ],
)
def test_an_item_that_contradicts_its_own_names_is_refused(item, properties, sides):
    _edit(item, lambda document: document["properties"].update(properties))
    refusal = _refusal(item)
    assert all(side in refusal for side in sides), refusal


@pytest.mark.parametrize("rasters", [True, False])
@pytest.mark.parametrize("tile", ["31TCJ", "33TWM"])
def test_an_item_of_another_tile_than_its_pixels_is_refused(item, tile, rasters):
    def change(document):
        properties = document["properties"]
        for field in [*OTHER, "s2:product_uri", "s2:granule_id"]:
            properties.pop(field, None)
        properties["grid:code"], document["id"] = f"MGRS-{tile}", f"S2A_{tile}_20230815_0_L2A"

    _edit(item, change)
    if not rasters:
        for path in item.parent.glob("*.tif"):
            path.unlink()
    refusal = _refusal(item)
    assert f"MGRS-{tile}" in refusal
    assert ("915 x 915 px of 120 m" if rasters else "10980 x 10980 px of 10 m in EPSG:32633, x 499980") in refusal


@pytest.mark.parametrize("square", [(100, 10), (-180, 46), (16, 60)])
def test_an_item_whose_geometry_is_elsewhere_is_refused(item, square):
    west, south = square
    ring = [[west, south], [west + 1, south], [west + 1, south + 1], [west, south + 1], [west, south]]
    _edit(item, lambda document: document.update(geometry={"type": "Polygon", "coordinates": [ring]}))
    assert "its geometry does not meet" in _refusal(item)


def test_items_along_the_antimeridian_meet_their_tile(shared_data, tmp_path):
    source = next((shared_data / "stac_items").rglob("*T60VUJ*.json"))
    path = Path(shutil.copy(source, tmp_path / "item.json"))
    path.chmod(0o644)

    def turn(document):
        for ring in document["geometry"]["coordinates"]:
            ring[:] = [[lon - 360, lat] for lon, lat in ring]

    _edit(path, turn)
    assert read_item(path).footprint["type"] in ("Polygon", "MultiPolygon")


def test_a_scale_without_an_offset_is_looked_at(item):
    def change(document):
        for asset in document["assets"].values():
            for band in asset.get("raster:bands", []):
                band.pop("offset", None)
                band["scale"] = 0.001

    _edit(item, change)
    assert "has scale 0.001, expected 0.0001" in _refusal(item)


def test_a_users_own_processing_must_say_whether_the_offset_is_in(item):
    def change(document):
        document["properties"].pop("earthsearch:boa_offset_applied", None)
        document["properties"]["s2:processing_baseline"] = "99.99"
        for asset in document["assets"].values():
            asset.pop("raster:bands", None)

    _edit(item, change)
    assert "99.99" in _refusal(item)
    assert "cannot tell" in _refusal(item)


@pytest.fixture
def flat(shared_data, tmp_path) -> Path:
    """Three items with remote rasters in one folder, and the rasters of the first beside them."""
    folder = tmp_path / "flat"
    folder.mkdir()
    sources = sorted((shared_data / SIX).glob("*33TWL*/*.json"))
    for source in sources:
        document = json.loads(source.read_text())
        for asset in document["assets"].values():
            asset["href"] = f"https://127.0.0.1:9/{source.stem}/{asset['href'].rpartition('/')[2]}"
        (folder / source.name).write_text(json.dumps(document))
    for raster in sources[0].parent.glob("*.tif*"):
        shutil.copy(raster, folder / raster.name)
    return folder


def test_one_file_never_stands_in_for_several_items(flat):
    hrefs = [band_assets(open_item(path))["B02"].href for path in sorted(flat.glob("*.json"))]
    assert len(set(hrefs)) == 3
    assert all(href.startswith("https://127.0.0.1:9/S2") for href in hrefs)


def test_among_several_items_a_file_of_the_stated_size_is_that_items(flat):
    first, *others = sorted(flat.glob("*.json"))
    size = (flat / "B02.tif").stat().st_size

    def change(document):
        document["assets"]["blue"]["file:size"] = size

    _edit(first, change)
    assert band_assets(open_item(first))["B02"].href == str(flat / "B02.tif")
    assert not any(band_assets(open_item(path))["B02"].local for path in others)


def test_that_a_file_stands_in_is_told_in_the_inventory(flat, make_collection, paths):
    for path in sorted(flat.glob("*.json"))[1:]:
        path.unlink()
    collection = make_collection({"kind": "stac_catalog", "path": str(flat)}, bands=("B02",))
    build_catalog(collection, paths)
    (row,) = take_inventory(collection, paths, "33TWL").tables["scenes"].rows
    assert row["remark"].startswith("B02, SCL: file beside the item instead of its address")


def test_the_rasters_are_believed_over_a_wrong_place_in_the_item(item, make_collection, paths):
    """What an item declares is not held against its tile where its rasters can be opened."""

    def change(document):
        document["properties"]["proj:epsg"] = 32631
        document["properties"].pop("proj:code", None)

    _edit(item, change)
    source = open_source(make_collection({"kind": "stac_catalog", "path": str(item)}, bands=("B02",)), paths)
    assert source.read(source.scenes("33TWL")[0]).crs == "EPSG:32633"


def test_two_processings_of_one_acquisition_can_be_told_apart(collection, paths, products):
    shutil.copytree(products[0], products[0].parent / "again" / products[0].name)
    build_catalog(collection, paths)
    rows = take_inventory(collection, paths, "31TCJ").tables["scenes"].rows
    assert {row["name"] for row in rows} == {entry.name for entry in read_inventory(paths, "31TCJ").entries}
    assert len({row["name"] for row in rows}) == 3


def test_when_a_tile_has_no_scene_left_the_source_is_to_be_checked(collection, paths, products):
    build_catalog(collection, paths)
    for product in products:
        shutil.rmtree(product)
    with pytest.raises(SceneError, match="check its path") as caught:
        take_inventory(collection, paths, "31TCJ")
    assert "tile_catalog" not in str(caught.value)


def test_rasters_of_a_coarse_pixel_may_reach_over_the_tile_by_less_than_that(item):
    path = item.parent / "B02.tif"
    (item.parent / "B02.tif.aux.xml").unlink(missing_ok=True)
    for side, fits in ((344, True), (346, False)):
        with rasterio.open(
            path, "w", driver="GTiff", width=side, height=side, count=1, dtype="uint16", crs="EPSG:32633",
            transform=rasterio.Affine(320, 0, 499980, 0, -320, 5100000), nodata=0,
        ) as target:  # fmt: skip
            target.write(np.ones((1, side, side), np.uint16))
        _edit(item, lambda document: document.update(assets={"blue": {"href": "B02.tif"}}))
        if fits:
            assert read_item(item).shape == (side, side)
        else:
            assert "346 x 346 px of 320 m" in _refusal(item)
