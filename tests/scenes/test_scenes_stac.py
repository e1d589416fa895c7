import json
import shutil
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agri_assets.cli.main import main
from agri_assets.errors import SceneError
from agri_assets.scenes import stac
from agri_assets.scenes.naming import BANDS, COMMON_NAMES, native_resolution
from agri_assets.scenes.stac import item_stamp, read_item, record_of
from agri_assets.scenes.stac_assets import resolve
from agri_assets.scenes.stac_catalog import find_items
from agri_assets.scenes.stac_document import as_item

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
SIX = "sentinel2_stac/sentinel-2-l2a"


@pytest.fixture
def item(shared_data, tmp_path) -> Path:
    """A real item with its rasters, free to be changed."""
    name = "S2A_33TWL_20230815_0_L2A"
    shutil.copytree(shared_data / SIX / name, tmp_path / name, copy_function=shutil.copy)
    for path in (tmp_path / name).iterdir():
        path.chmod(0o755)
    (tmp_path / name).chmod(0o755)
    return tmp_path / name / f"{name}.json"


def _change(path: Path, **properties) -> None:
    document = json.loads(path.read_text())
    document["properties"].update(properties)
    path.write_text(json.dumps(document))


def test_real_items_believe_the_raster_over_the_item(shared_data):
    record = read_item(shared_data / SIX / "S2A_33TWL_20230815_0_L2A" / "S2A_33TWL_20230815_0_L2A.json")
    assert (record.scene_id, record.shape) == ("S2A_33TWL_20230815_0_L2A", (915, 915))
    assert record.transform == (120, 0, 499980, 0, -120, 5100000)
    assert record.bands["B02"].resolution == 120
    assert "believed over the item's 10980 x 10980 px of 10 m" in str(record.radiometry.evidence["B02 raster"])
    assert record.radiometry.offset == 0
    assert record.readable


def test_an_old_item_finds_its_rasters_beside_it(shared_data):
    name = "S2A_29RKH_20200219_0_L2A"
    record = read_item(shared_data / "sentinel2_cog" / name / f"{name}.json")
    assert len(record.bands) == 12
    assert all(Path(band.href).is_file() for band in record.bands.values())
    assert (record.shape, record.bands["B11"].resolution, record.bands["B01"].resolution) == ((1098, 1098), 200, 600)
    assert record.radiometry.offset == 0


OFFSETS = {
    "earth-search.aws.element84.com_v1/sentinel-2-l2a": 0,
    "earth-search.aws.element84.com_v1/sentinel-2-c1-l2a": -1000,
    "planetarycomputer.microsoft.com_v1/sentinel-2-l2a": 0,
}
RECORDED = sorted((SHARED / "stac_items").rglob("*.json")) if SHARED.is_dir() else []
USABLE = [path for path in RECORDED if "l1c" not in path.parent.name and json.loads(path.read_text()).get("assets")]
REFUSED = [path for path in RECORDED if path not in USABLE]


def _asset_of(item, band) -> dict:
    """The asset that a person would pick: by the provider's key for the band."""
    keys = {key for key, value in COMMON_NAMES.items() if value == band} | {band}
    (key,) = keys & set(item["assets"])
    return item["assets"][key]


@pytest.mark.parametrize("path", USABLE, ids=lambda path: path.stem)
def test_recorded_items_are_right_field_by_field(path, capsys):
    item = json.loads(path.read_text())
    properties = item["properties"]
    assert main(["inspect", str(path), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    tile = (properties.get("grid:code") or properties["s2:mgrs_tile"]).removeprefix("MGRS-").zfill(5)
    day, unit = properties["datetime"][:10].replace("-", ""), properties["platform"][-1].upper()
    assert record["scene_id"] == f"S2{unit}_{tile}_{day}_0_L2A"
    assert (record["source"], record["level"], record["readable"]) == ("stac", "L2A", True)
    assert record["platform"] == properties["platform"].lower()
    assert record["mgrs_tile"] == tile
    assert datetime.fromisoformat(record["acquired"]) == datetime.fromisoformat(properties["datetime"])
    assert record["processing_baseline"] == properties["s2:processing_baseline"]
    assert record["cloud_cover"] == properties["eo:cloud_cover"]
    assert record["crs"] == f"EPSG:{properties['proj:epsg']}"
    assert record["transform"] == _asset_of(item, "B02")["proj:transform"]
    assert record["shape"] == _asset_of(item, "B02")["proj:shape"]
    assert record["footprint"] == item["geometry"]
    offset = OFFSETS[f"{path.parent.parent.name}/{path.parent.name}"]
    assert record["radiometry"]["offset"] == offset
    assert list(record["bands"]) == list(BANDS)
    for band, said in record["bands"].items():
        asset = _asset_of(item, band)
        assert said["href"] == asset["href"]
        assert said["resolution"] == asset["proj:transform"][0] == native_resolution(band)
        assert (said["offset"], said["scale"], said["nodata"]) == (offset, 1e-4, 0)


@pytest.mark.parametrize("path", REFUSED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_recorded_items_that_cannot_be_used_are_refused_in_one_line(path, capsys):
    assert main(["inspect", str(path), "--json"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.strip().splitlines()
    assert str(path) in line
    assert "Level-1C" in line if "l1c" in path.parent.name else "fields filter" in line


def test_a_planetary_computer_item_of_a_new_baseline_needs_the_offset(shared_data, tmp_path):
    source = next((shared_data / "stac_items" / "planetarycomputer.microsoft.com_v1").rglob("*.json"))
    path = Path(shutil.copy(source, tmp_path / "item.json"))
    path.chmod(0o644)
    _change(path, **{"s2:processing_baseline": "05.09"})
    assert read_item(path).radiometry.offset == -1000


def test_an_item_that_contradicts_itself_is_refused(item):
    _change(item, **{"earthsearch:boa_offset_applied": False, "s2:processing_baseline": "03.01"})
    with pytest.raises(SceneError, match="contradict each other"):
        read_item(item)


@pytest.mark.parametrize("field", ["s2:processing_baseline", "platform", "datetime"])
def test_a_missing_field_is_named(item, field):
    document = json.loads(item.read_text())
    del document["properties"][field]
    item.write_text(json.dumps(document))
    with pytest.raises(SceneError, match=field):
        read_item(item)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"type": "Feature", "properties": {}}', "\x00"])
def test_documents_that_are_no_items_are_refused(tmp_path, content):
    path = tmp_path / "item.json"
    path.write_text(content)
    with pytest.raises(SceneError) as caught:
        read_item(path)
    assert "\n" not in str(caught.value)


def test_absent_rasters_are_not_readable(item):
    (item.parent / "B02.tif").unlink()
    assert not read_item(item).readable


def test_a_catalogue_is_walked_and_a_folder_searched(shared_data, tmp_path):
    walked, problems = find_items(shared_data / "sentinel2_stac")
    searched, _ = find_items(shared_data / SIX)
    assert len(walked) == 6
    assert {path.name for path in searched} == {path.name for path in walked}
    assert problems == ()


@pytest.mark.parametrize("links", [3, "x", [None, 3, {"rel": "item"}, {"rel": "item", "href": "\0"}], {"rel": "item"}])
def test_odd_links_do_not_stop_the_walk(tmp_path, links):
    (tmp_path / "catalog.json").write_text(json.dumps({"type": "Catalog", "links": links}))
    assert find_items(tmp_path)[0] == ()


def test_links_that_cannot_be_followed_are_told(tmp_path):
    links = [
        {"rel": "child", "href": "./absent.json"},
        {"rel": "item", "href": "https://example.com/item.json"},
        {"rel": "child", "href": "./catalog.json"},
    ]
    (tmp_path / "catalog.json").write_text(json.dumps({"type": "Catalog", "links": links}))
    items, problems = find_items(tmp_path)
    assert items == ()
    assert len(problems) == 2
    assert any("remote" in problem for problem in problems)


PLANETARY = USABLE[-1] if USABLE else None


@pytest.fixture
def document(shared_data) -> dict:
    """A real Planetary Computer item."""
    return json.loads(PLANETARY.read_text())


def _record(document, location="https://example.com/items/one.json"):
    return record_of(as_item(document, location))


@pytest.mark.parametrize(
    ("href", "location", "expected"),
    [
        ("B02.tif", "https://host/a/item.json", "https://host/a/B02.tif"),
        ("../x/B02.tif", "https://host/a/b/item.json?sig=1", "https://host/a/x/B02.tif"),
        ("./B02.tif", "s3://bucket/a/item.json", "s3://bucket/a/B02.tif"),
        ("/B02.tif", "s3://bucket/a/item.json", "s3://bucket/B02.tif"),
        ("https://other/B02.tif?sv=1&sig=2&se=3", "https://host/item.json", "https://other/B02.tif"),
        ("s3://bucket/B02.jp2", "/data/item.json", "s3://bucket/B02.jp2"),
        ("file:///data/my%20B02.tif", "/data/item.json", "/data/my B02.tif"),
        ("../B02.tif", "/data/items/item.json", "/data/B02.tif"),
        ("/else/B02.tif", "/data/items/item.json", "/else/B02.tif"),
    ],
)
def test_addresses_count_from_the_item(href, location, expected):
    assert resolve(href, location) == (expected, False)


@pytest.mark.parametrize(
    ("href", "location"),
    [("file:///etc/passwd", "https://host/item.json"), ("gs://b/B02.tif", "/data/item.json"), ("gs://b/x", "s3://b/i")],
)
def test_addresses_that_cannot_be_read_are_refused(href, location):
    with pytest.raises(SceneError, match=href):
        resolve(href, location)


def test_stac_1_1_says_the_same(document):
    before = _record(document)
    properties = document["properties"]
    properties["proj:code"] = f"EPSG:{properties.pop('proj:epsg')}"
    for asset in document["assets"].values():
        asset["bands"] = [{"name": band["name"], "eo:common_name": band.get("common_name")} for band in
                          asset.pop("eo:bands", [])]  # fmt: skip
        asset["nodata"] = 0
    document["assets"] = {f"asset{i}": asset for i, asset in enumerate(document["assets"].values())}
    after = _record(document)
    assert after.bands == before.bands
    assert (after.crs, after.transform, after.radiometry) == (before.crs, before.transform, before.radiometry)


def test_offsets_of_stac_1_1_are_read(document):
    document["properties"]["s2:processing_baseline"] = "05.11"
    document["stac_version"] = "1.1.0"
    for key, asset in document["assets"].items():
        if key in BANDS:
            asset |= {"raster:scale": 0.0001, "raster:offset": -0.1}
    record = _record(document)
    assert record.radiometry.offset == -1000
    assert record.radiometry.evidence["raster:bands offset"] == -1000


def test_a_band_at_several_resolutions_is_taken_at_its_finest(document):
    assets = {}
    for key, asset in document["assets"].items():
        for size in (60, 20, 10):
            if size >= asset.get("gsd", 10):
                place = [size, 0, 600000, 0, -size, 6400020]
                assets[f"{key}_{size}m"] = {**asset, "gsd": size, "proj:transform": place}
    document["assets"] = assets
    assert {band: one.resolution for band, one in _record(document).bands.items()} == {
        band: native_resolution(band) for band in BANDS
    }


def test_originals_beside_corrected_cogs_are_not_what_the_item_means(shared_data):
    path = next((shared_data / "stac_items/earth-search.aws.element84.com_v1/sentinel-2-l2a").glob("*MXV*.json"))
    document = json.loads(path.read_text())
    assert "blue-jp2" in document["assets"]
    del document["assets"]["blue"]
    assert "B02" not in _record(document).bands


def test_a_polygon_across_the_antimeridian_is_cut(document):
    document["geometry"] = {
        "type": "Polygon", "coordinates": [[[179, -17], [-179.5, -17], [-179.5, -16], [179, -16], [179, -17]]],
    }  # fmt: skip
    footprint = _record(document).footprint
    assert footprint["type"] == "MultiPolygon"
    east, west = ([point[0] for point in part[0]] for part in footprint["coordinates"])
    assert {min(east), max(east), min(west), max(west)} == {179, 180, -180, -179.5}


def test_bookkeeping_does_not_change_the_stamp(document):
    def stamp():
        return item_stamp(as_item(document, "https://example.com/i"))

    before = stamp()
    document["properties"] |= {"updated": "2030-01-01T00:00:00Z", "created": "2030-01-01T00:00:00Z"}
    document["links"] = []
    for asset in document["assets"].values():
        asset["href"] += "?sv=1&sig=abc"
    assert stamp() == before
    document["assets"]["B02"]["file:checksum"] = "1220" + "0" * 64
    assert stamp() != before


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2))


@given(data=st.data())
def test_mutated_items_raise_nothing_else(data):
    if PLANETARY is None:
        pytest.skip("the real data of the project (shared/data) is not beside this checkout")
    document = json.loads(data.draw(st.sampled_from(USABLE)).read_text())
    for _ in range(data.draw(st.integers(1, 3))):
        node, key = document, data.draw(st.sampled_from(["properties", "assets", "geometry", "id", "collection"]))
        while data.draw(st.booleans()) and isinstance(node[key], dict | list) and len(node[key]):
            node = node[key]
            key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        node[key] = data.draw(VALUES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stac, "raster_facts", _no_network)
        for use in (_record, lambda one: item_stamp(as_item(one, "https://example.com/one.json"))):
            assert "\n" not in (_refusal(use, document) or "")


def _refusal(use, document) -> str | None:
    try:
        use(document)
    except SceneError as error:
        return str(error)
    return None


def _no_network(href, sign=""):
    raise SceneError(f"{href}: not in tests")
