import json
import shutil
from pathlib import Path

import pytest

from agri_assets.errors import SceneError
from agri_assets.scenes.stac import read_item
from agri_assets.scenes.stac_catalog import find_items

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


@pytest.mark.parametrize(
    ("folder", "offset"),
    [
        ("earth-search.aws.element84.com_v1/sentinel-2-l2a", 0),
        ("earth-search.aws.element84.com_v1/sentinel-2-c1-l2a", -1000),
        ("planetarycomputer.microsoft.com_v1/sentinel-2-l2a", 0),
    ],
)
def test_recorded_live_items(shared_data, folder, offset):
    read = 0
    for path in sorted((shared_data / "stac_items" / folder).glob("*.json")):
        if not json.loads(path.read_text()).get("assets"):
            with pytest.raises(SceneError, match=r"no band assets|only that can be used"):
                read_item(path)
            continue
        record = read_item(path)
        assert record.radiometry.offset == offset
        assert record.shape == (10980, 10980)
        assert len(record.bands) == 12
        read += 1
    assert read


def test_level_1c_items_are_refused(shared_data):
    for path in (shared_data / "stac_items").rglob("*L1C.json"):
        with pytest.raises(SceneError, match="Level-1C"):
            read_item(path)


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
