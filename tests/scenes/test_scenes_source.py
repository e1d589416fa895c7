import json
import shutil
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agri_assets.errors import SceneError
from agri_assets.scenes.catalog import build_catalog
from agri_assets.scenes.inventory import read_inventory, take_inventory
from agri_assets.scenes.record import SceneState
from agri_assets.scenes.safe import read_safe
from agri_assets.scenes.settings import SafeSource, SampleSource
from agri_assets.scenes.source import open_source
from agri_assets.scenes.wanted import is_wanted

SIX = "sentinel2_stac/sentinel-2-l2a"


def _zipped(product: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(product.rglob("*")):
            archive.write(path, path.relative_to(product.parent))
    return target


@pytest.fixture
def listed(collection, paths):
    return lambda: open_source(collection, paths)


def test_directories_and_zips_are_listed(inbox, products, listed):
    _zipped(products[0], inbox / f"{products[0].name}.zip")
    shutil.rmtree(products[0])
    (tile,) = listed().tiles()
    names = {ref.name for ref in listed().scenes(tile)}
    assert names == {f"{products[0].name}.zip", products[1].name}
    assert listed().strays() == ()


@pytest.mark.parametrize("suffix", [".SAFE.zip", ".zip"])
@pytest.mark.parametrize("damaged", [False, True])
def test_two_copies_of_one_product_are_rivals_and_the_unpacked_one_is_tried_first(
    inbox, products, listed, collection, paths, suffix, damaged
):
    (inbox / "zips").mkdir()
    twin = _zipped(products[0], inbox / "zips" / (products[0].name.removesuffix(".SAFE") + suffix))
    assert listed().strays() == ()
    if damaged:
        next(products[0].rglob("*_B02_10m.jp2")).write_bytes(b"")
    build_catalog(collection, paths)
    take_inventory(collection, paths, "31TCJ")
    entries = {entry.name: entry for entry in read_inventory(paths, "31TCJ").entries}
    unpacked, packed = entries[products[0].name], entries[str(twin.relative_to(inbox))]
    if damaged:
        assert (unpacked.state, packed.state) == (SceneState.REFUSED, SceneState.PRESENT)
    else:
        assert (unpacked.state, packed.state) == (SceneState.PRESENT, SceneState.SUPERSEDED)
        assert packed.reason == f"the same product, also as {products[0]}"


def test_a_zip_of_another_name_is_known_by_what_it_holds(inbox, products, listed):
    _zipped(products[0], inbox / "0a1b-download.zip")
    shutil.rmtree(products[0])
    with zipfile.ZipFile(inbox / "notes.zip", "w") as archive:
        archive.writestr("notes.txt", "nothing")
    (inbox / "broken.zip").write_bytes(b"PK no zip")
    (tile,) = listed().tiles()
    assert {ref.name for ref in listed().scenes(tile)} == {"0a1b-download.zip", products[1].name}


def test_what_can_be_placed_nowhere_is_told(inbox, products, listed):
    (inbox / "renamed.SAFE").mkdir()
    (inbox / "S2A_OPER_PRD_MSIL2A.zip").write_bytes(b"PK no zip")
    assert len(listed().strays()) == 2
    assert len(listed().tiles()) == 1


def test_a_scene_is_read_and_stamped_by_its_reference(products, listed):
    source = listed()
    (tile,) = source.tiles()
    ref = source.scenes(tile)[0]
    record = source.read(ref)
    assert record == read_safe(Path(ref.location))
    assert source.fetch(ref, record) is record
    before = source.stamp(ref)
    next(Path(ref.location).rglob("*_B02_10m.jp2")).write_bytes(b"other")
    assert source.stamp(ref) != before


def test_a_missing_folder_is_told(make_collection, paths, tmp_path):
    for kind in ("safe", "geotiff", "stac_catalog"):
        source = open_source(make_collection({"kind": kind, "path": str(tmp_path / "absent")}), paths)
        with pytest.raises(SceneError, match="absent: no such file or folder"):
            source.tiles()


def test_sidecars_are_listed(make_collection, paths, tmp_path):
    folder = tmp_path / "stacks" / "2023"
    folder.mkdir(parents=True)
    (folder / "field.scene.json").write_text(json.dumps({"tile": "33TWL"}))
    (folder / "notes.scene.json").write_text("{}")
    (folder / "other.json").write_text("{}")
    source = open_source(make_collection({"kind": "geotiff", "path": str(tmp_path / "stacks")}), paths)
    assert source.tiles() == ("33TWL",)
    assert [ref.name for ref in source.scenes("33TWL")] == ["2023/field.scene.json"]
    assert len(source.strays()) == 1
    with pytest.raises(SceneError):
        source.read(source.scenes("33TWL")[0])


def test_items_on_disk_are_a_source(shared_data, make_collection, paths):
    collection = make_collection({"kind": "stac_catalog", "path": str(shared_data / SIX)}, bands=("B02", "B08"))
    source = open_source(collection, paths)
    assert source.tiles() == ("33TWL", "33TWM")
    ref = source.scenes("33TWM")[0]
    record = source.read(ref)
    assert list(record.bands) == ["B02", "B08"]
    assert record.shape == (915, 915)
    assert source.stamp(ref) == source.stamp(ref)


def test_items_on_disk_are_limited_to_days_and_cloud_cover(shared_data, make_collection, paths):
    where = {"kind": "stac_catalog", "path": str(shared_data / SIX)}
    clear = open_source(make_collection({**where, "max_cloud": 20}), paths)
    names = {ref.name for tile in clear.tiles() for ref in clear.scenes(tile)}
    covers = {path.stem: json.loads(path.read_text())["properties"]["eo:cloud_cover"] for path in _items(shared_data)}
    assert names == {name for name, cover in covers.items() if cover <= 20}
    assert 0 < len(names) < 6
    day = open_source(make_collection({**where, "dates": "2023-08-15/2023-08-15", "tiles": ["33TWL"]}), paths)
    assert [ref.name for tile in day.tiles() for ref in day.scenes(tile)] == ["S2A_33TWL_20230815_0_L2A"]


def _items(shared_data):
    return sorted((shared_data / SIX).glob("*/S2*.json"))


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        ({}, True),
        ({"dates": "2023-08-15/2023-08-15"}, True),
        ({"dates": "2023-08-16/2023-08-20"}, False),
        ({"dates": "2023-08-01/2023-08-14"}, False),
        ({"max_cloud": 30}, True),
        ({"max_cloud": 29.9}, False),
        ({"max_cloud": 100, "dates": "2023-08-16/2023-08-20"}, False),
    ],
)
def test_days_and_cloud_cover_leave_scenes_out(products, limits, wanted):
    late = datetime(2023, 8, 15, 23, 59, 59, 999000, tzinfo=UTC)
    record = read_safe(products[0]).model_copy(update={"acquired": late, "cloud_cover": 30.0})
    assert is_wanted(record, SafeSource(kind="safe", path="x", **limits)) == wanted
    assert is_wanted(record, SampleSource(kind="sample"))
    unstated = record.model_copy(update={"cloud_cover": None})
    assert is_wanted(unstated, SafeSource(kind="safe", path="x", max_cloud=0))
