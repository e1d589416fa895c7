"""Searching a STAC API, over a local one that serves the real items and their rasters."""

import copy
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.shutil import copy as copy_raster
from shapely.geometry import box, mapping, shape
from urllib3 import Retry

from agri_assets import progress
from agri_assets.errors import RemoteError, SceneError
from agri_assets.remote import client as client_module
from agri_assets.remote.http import Http
from agri_assets.remote.raster import open_raster
from agri_assets.scenes import stac_api
from agri_assets.scenes.catalog import build_catalog
from agri_assets.scenes.inventory import read_inventory, take_inventory
from agri_assets.scenes.naming import tile_name
from agri_assets.scenes.narrow import narrow
from agri_assets.scenes.settings import StacSource
from agri_assets.scenes.source import open_source
from agri_assets.scenes.stac import record_of
from agri_assets.scenes.stac_area import search_area, tile_footprint
from agri_assets.store.layout import CollectionPaths
from tests.remote.server import RemoteServer
from tests.scenes.stac_server import FILTER, ITEM_SEARCH, StacApi

SIX = "sentinel2_stac/sentinel-2-l2a"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(Http, "backoff_s", 0.001)
    monkeypatch.setattr(stac_api, "RETRIES", stac_api.RETRIES.new(backoff_factor=0, backoff_jitter=0))
    client_module._forget()
    yield
    client_module._forget()


@pytest.fixture(scope="session")
def served(shared_data, tmp_path_factory) -> Path:
    """The six real products with rasters that carry their place themselves: the originals need their `.aux.xml`."""
    folder = tmp_path_factory.mktemp("served")
    for path in sorted((shared_data / SIX).glob("*/*.tif")):
        if path.stem not in ("B02", "B08", "SCL"):
            continue
        (folder / path.parent.name).mkdir(exist_ok=True)
        copy_raster(path, folder / path.parent.name / path.name, driver="GTiff", tiled=True)
    for path in (shared_data / SIX).glob("*/S2*.json"):
        shutil.copy(path, folder / path.parent.name / path.name)
    return folder


@pytest.fixture
def site(served):
    with RemoteServer(served) as server:
        yield server


@pytest.fixture
def items(site) -> list[dict]:
    """The six real items, with the addresses of the rasters that are there."""
    found = []
    for path in sorted(site.folder.glob("*/S2*.json")):
        item = json.loads(path.read_text())
        item["assets"] = {
            key: {**asset, "href": site.at(f"{path.parent.name}/{asset['href']}")}
            for key, asset in item["assets"].items()
            if "://" not in asset["href"]
        }
        found.append(item)
    return found


@pytest.fixture
def api(site, items):
    return StacApi(site, items)


@pytest.fixture
def source(api, make_collection, tmp_path):
    def open_it(bands=("B02", "B08"), **settings):
        settings.setdefault("tiles", ["33TWL", "33TWM"])
        collection = make_collection({"kind": "stac", "path": api.url, **settings}, bands=bands)
        return open_source(collection, CollectionPaths(tmp_path / "data", "fields"))

    return open_it


def test_the_whole_area_is_searched_once_with_paging(api, source):
    found = source()
    assert found.tiles() == ("33TWL", "33TWM")
    assert found.strays() == ()
    assert len(api.searches) == 3
    assert [len(found.scenes(tile)) for tile in found.tiles()] == [3, 3]
    assert len(api.searches) == 3


def test_one_tile_is_searched_on_its_own_ground(api, source):
    refs = source().scenes("33TWL")
    assert [ref.name for ref in refs] == sorted(ref.name for ref in refs)
    assert {ref.tile for ref in refs} == {"33TWL"}
    asked = shape(api.searches[0]["intersects"])
    assert asked.equals_exact(tile_footprint("33TWL"), 1e-9)


def test_a_bbox_limits_the_ground_of_a_tile(api, source):
    source(tiles=[], bbox=[15.1, 45.1, 15.2, 45.2]).scenes("33TWL")
    assert shape(api.searches[0]["intersects"]).bounds == pytest.approx((15.1, 45.1, 15.2, 45.2))


def test_an_area_file_is_searched(api, source, tmp_path):
    area = box(15.1, 45.1, 15.2, 45.2)
    features = {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": mapping(area)}]}
    (tmp_path / "area.geojson").write_text(json.dumps(features))
    assert source(tiles=[], area=str(tmp_path / "area.geojson")).tiles() == ("33TWL",)
    assert shape(api.searches[0]["intersects"]).equals(area)


def test_secrets_in_the_address_of_an_api_are_in_nothing_that_is_left(api, make_collection, tmp_path, caplog):
    path = api.url.replace("://", "://me:planted@") + "?token=planted&v=1"
    for item in api.items:
        item.pop("links")  # so that the addresses of items are made of that of the API
    collection = make_collection({"kind": "stac", "path": path, "tiles": ["33TWL"]}, bands=("B02", "B08"))
    paths = CollectionPaths(tmp_path / "data", "fields")
    build_catalog(collection, paths)
    assert take_inventory(collection, paths, "33TWL").metadata["present"] == 3
    left = [path for path in paths.root.rglob("*") if path.is_file()]
    assert left
    assert not [path for path in left if b"planted" in path.read_bytes()]
    assert "planted" not in caplog.text
    record = read_inventory(paths, "33TWL").present[0]
    assert record.location.startswith(f"{api.url}/collections/")


def test_a_search_by_get_where_the_api_offers_no_other(api, source):
    api.methods = ("GET",)
    assert source().tiles() == ("33TWL", "33TWM")
    assert len(api.searches) == 3


def test_days_and_cloud_cover_limit_the_search(api, source, items):
    days = sorted({item["properties"]["datetime"][:10] for item in items})
    first = source(dates=f"{days[0]}/{days[0]}")
    assert len(first.scenes("33TWL")) == 1
    assert api.searches[0]["datetime"] == f"{days[0]}T00:00:00Z/{days[0]}T23:59:59.999Z"
    clear = {item["id"] for item in items if item["properties"]["eo:cloud_cover"] <= 20}
    limited = source(max_cloud=20)
    assert {ref.name for tile in limited.tiles() for ref in limited.scenes(tile)} == clear
    assert api.searches[-1]["query"] == {"eo:cloud_cover": {"lte": 20.0}}


@pytest.mark.parametrize(("conforms", "asked"), [((), None), ((FILTER,), "filter")])
def test_cloud_cover_is_filtered_here_where_the_server_does_not(site, items, source, api, conforms, asked):
    api.conforms = ["https://api.stacspec.org/v1.0.0/core", ITEM_SEARCH, *conforms]
    clear = {item["id"] for item in items if item["properties"]["eo:cloud_cover"] <= 20}
    found = source(max_cloud=20)
    assert {ref.name for tile in found.tiles() for ref in found.scenes(tile)} == clear
    assert "query" not in api.searches[0]
    assert ("filter" in api.searches[0]) == bool(asked)


def test_nothing_found_says_what_was_asked(source):
    found = source(dates="2019-01-01/2019-01-02", max_cloud=5)
    assert found.tiles() == ()
    (line,) = found.strays()
    for word in ("sentinel-2-l2a", "33TWL", "2019-01-01", "5 % cloud"):
        assert word in line


def test_foreign_items_do_not_stop_the_others(api, source, items, site):
    level_1c = copy.deepcopy(items[0])
    level_1c["id"] = "S2A_33TWL_20230815_0_L1C"
    level_1c["properties"] |= {"s2:product_type": "S2MSI1C", "s2:product_uri": "S2A_MSIL1C_x.SAFE"}
    level_1c["links"] = []
    site.documents[f"/v1/collections/sentinel-2-l2a/items/{level_1c['id']}"] = level_1c
    landsat = {"type": "Feature", "id": "LC08_x", "collection": "sentinel-2-l2a", "geometry": items[0]["geometry"]}
    broken = {**landsat, "id": "broken"}
    landsat["properties"] = {"datetime": "2023-08-15T10:00:00Z", "grid:code": "WRS2-190028"}
    api.items += [level_1c, landsat, broken]
    found = source()
    assert found.tiles() == ("33TWL", "33TWM")
    assert len(found.strays()) == 2
    refs = {ref.name: ref for ref in found.scenes("33TWL")}
    with pytest.raises(SceneError, match="Level-1C"):
        found.read(refs[level_1c["id"]])
    assert len(refs) == 4


def test_reading_believes_the_remote_rasters(source, site):
    found = source()
    ref = found.scenes("33TWL")[0]
    record = found.read(ref)
    assert list(record.bands) == ["B02", "B08"]
    assert (record.shape, record.transform) == ((915, 915), (120, 0, 499980, 0, -120, 5100000))
    assert "believed over the item's 10980 x 10980 px of 10 m" in str(record.radiometry.evidence["B08 raster"])
    assert record.classification.resolution == 120
    assert record.location == ref.location
    # headers of the collection's bands and of the classification, nothing else
    assert not any("B03" in path or "B04" in path for path in site.counts)
    assert found.fetch(ref, record) == record


def test_a_missing_band_is_named_with_the_assets(source):
    found = source(bands=("B02", "B05"))
    with pytest.raises(SceneError, match=r"no asset for band B05 \(its assets: .*blue"):
        found.read(found.scenes("33TWL")[0])


def test_signatures_are_never_kept(source, api, items, site):
    for item in items:
        for asset in item["assets"].values():
            asset["href"] += "?sv=2024&sig=secret"
    site.protected = ("/S2",)
    found = source(sign=site.sas)
    ref = found.scenes("33TWL")[0]
    record = found.read(ref)
    assert "secret" not in record.model_dump_json()
    assert record.bands["B02"].sign == site.sas
    before = found.stamp(ref)
    for item in items:
        item["properties"]["updated"] = "2031-01-01T00:00:00Z"
        for asset in item["assets"].values():
            asset["href"] = asset["href"].replace("secret", "other")
    again = source(sign=site.sas)
    assert again.stamp(again.scenes("33TWL")[0]) == before


def test_the_stamp_follows_what_the_item_says(source, items):
    stamps = set()
    for change in ({}, {"s2:generation_time": "2024-01-01T00:00:00Z"}, {"earthsearch:boa_offset_applied": False}):
        for item in items:
            item["properties"] |= change
        found = source()
        stamps.add(found.stamp(found.scenes("33TWL")[0]))
    assert len(stamps) == 3


def test_bands_are_copied_once_where_asked(source, shared_data, site):
    found = source(download=True)
    ref = found.scenes("33TWL")[0]
    before = found.stamp(ref)
    record = found.fetch(ref, found.read(ref))
    layers = [*record.bands.values(), record.classification]
    assert all(Path(layer.href).is_file() and "downloads" in layer.href for layer in layers)
    assert len({layer.href for layer in layers}) == 3
    with rasterio.open(shared_data / SIX / ref.name / "B08.tif") as original:
        raster = open_raster(record.bands["B08"].href)
        np.testing.assert_array_equal(raster.read(1), original.read(1))
        raster.close()
    asked = site.counts.total()
    again = source(download=True)
    ref = again.scenes("33TWL")[0]
    assert again.fetch(ref, again.read(ref)).bands == record.bands
    assert site.counts.total() == asked + 4  # the landing page and three pages of the search
    assert again.stamp(ref) == before


def test_a_copy_brings_its_place_along(source, shared_data, items, site):
    site.folder = shared_data / SIX
    found = source(download=True)
    ref = found.scenes("33TWL")[0]
    assert found.fetch(ref, _unread(found, ref)).bands["B02"].href.endswith(".tif")
    assert found.read(ref).transform == (120, 0, 499980, 0, -120, 5100000)


def _unread(found, ref):
    """The record as the item declares it."""
    return narrow(record_of(found._item(ref), ""), found.reader.bands)


def test_a_lost_copy_changes_the_stamp(source, tmp_path):
    found = source(download=True)
    ref = found.scenes("33TWL")[0]
    record = found.fetch(ref, found.read(ref))
    inventory = CollectionPaths(tmp_path / "data", "fields").inventory("33TWL")
    inventory.write_text(record.model_dump_json())
    before = found.stamp(ref)
    Path(record.bands["B02"].href).unlink()
    assert found.stamp(ref) != before
    found.fetch(ref, found.read(ref))
    assert found.stamp(ref) == before


@pytest.mark.parametrize("download", [False, True])
def test_from_search_to_inventory(api, site, make_collection, tmp_path, download, monkeypatch, caplog):
    caplog.set_level("INFO", logger="agri_assets")
    monkeypatch.setattr(progress, "LOG_INTERVAL_S", 0.0)
    where = {
        "kind": "stac",
        "path": api.url,
        "tiles": ["33TWL"],
        "download": download,
        "dates": "2023-08-11/2023-08-31",
    }
    collection = make_collection({**where, "download": download}, bands=("B02", "B08"))
    paths = CollectionPaths(tmp_path / "data", "fields")
    build_catalog(collection, paths)
    site.fail("/S2A_33TWL_20230815_0_L2A/B08.tif", "status", times=1, status=429, retry_after="0")
    outcome = take_inventory(collection, paths, "33TWL")
    inventory = read_inventory(paths, "33TWL")
    assert [entry.reason for entry in inventory.entries] == [None] * len(inventory.entries)
    assert len(inventory.present) == sum(
        item["id"].startswith(("S2A_33TWL", "S2B_33TWL")) and item["properties"]["datetime"] > "2023-08-11"
        for item in api.items
    )
    layers = [layer for record in inventory.present for layer in (*record.bands.values(), record.classification)]
    assert {"downloads" in layer.href for layer in layers} == {download}
    # who waits sees that something goes on
    assert "fields 33TWL: reading scenes: 1/2 scenes" in caplog.text
    assert ("copying B02-" in caplog.text) is download
    searches = len(api.searches)
    again = take_inventory(collection, paths, "33TWL")
    assert again.data_version == outcome.data_version
    assert len(api.searches) > searches


def test_overload_is_waited_out(source, site):
    site.fail("/v1/search", "status", times=2, status=429, retry_after="0")
    site.fail("/v1", "status", status=503)
    assert source().tiles() == ("33TWL", "33TWM")


@pytest.mark.parametrize(("status", "transient"), [(500, True), (404, False), (400, False)])
def test_a_refusing_api_is_told_in_one_line(source, site, monkeypatch, status, transient):
    monkeypatch.setattr(stac_api, "RETRIES", Retry(total=0, raise_on_status=False))
    site.fail("/v1/search", "status", times=9, status=status)
    with pytest.raises(RemoteError, match=f"/v1: answered {status}") as caught:
        source().tiles()
    assert caught.value.transient == transient
    assert "\n" not in str(caught.value)


def test_an_api_that_cannot_be_searched_is_told(source, api, site):
    api.conforms = []
    with pytest.raises(SceneError, match="no STAC API with item search"):
        source().tiles()
    site.fail("/v1", "html")
    with pytest.raises(SceneError, match="does not answer as a STAC API does"):
        source().tiles()


@pytest.mark.parametrize("document", [{"type": "FeatureCollection", "features": []}, {}, [], 3, None])
def test_a_document_that_is_no_api_is_told_in_one_line(make_collection, site, items, tmp_path, document):
    site.documents["/item.json"] = items[0] if document is None else document
    collection = make_collection({"kind": "stac", "path": site.at("item.json"), "tiles": ["33TWL"]})
    with pytest.raises(
        SceneError, match=r"/item\.json: does not answer as a STAC API does .*name the address"
    ) as caught:
        open_source(collection, CollectionPaths(tmp_path, "fields")).tiles()
    assert "\n" not in str(caught.value)


def test_no_host_at_all_is_told(make_collection, tmp_path, monkeypatch):
    monkeypatch.setattr(stac_api, "RETRIES", Retry(total=0))
    collection = make_collection({"kind": "stac", "path": "http://127.0.0.1:9/v1", "tiles": ["33TWL"]})
    with pytest.raises(RemoteError, match=r"127\.0\.0\.1:9/v1: gives no answer") as caught:
        open_source(collection, CollectionPaths(tmp_path, "fields")).tiles()
    assert caught.value.transient
    assert "\n" not in str(caught.value)


def _area(**settings):
    return search_area(StacSource.model_validate({"kind": "stac", "path": "https://example.com", **settings}))


def test_areas_are_cut_at_the_antimeridian():
    across = _area(bbox=[170, -20, -170, -10])
    assert across.geom_type == "MultiPolygon"
    assert across.equals(box(170, -20, 180, -10) | box(-180, -20, -170, -10))
    for tile in ("01KAB", "60KXF", "1WCP"):
        ground = _area(tiles=[tile])
        assert -180 <= ground.bounds[0] <= ground.bounds[2] <= 180
        assert ground.is_valid
        assert ground.area < 12
    assert _area(tiles=["01KAB"]).geom_type == "MultiPolygon"


def test_a_footprint_agrees_with_real_items(shared_data):
    for path in (shared_data / "stac_items").rglob("*L2A*.json"):
        item = json.loads(path.read_text())
        if item.get("geometry") and (tile := item["properties"].get("s2:mgrs_tile")):
            beyond = shape(item["geometry"]).difference(tile_footprint(tile_name(tile)))
            # their edges are straight in degrees, the tile's are straight in metres
            assert beyond.area < 0.01


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{}", "empty"),
        ("[]", "expected a JSON object"),
        ('{"type": "Polygon"}', "not a GeoJSON area"),
        ('{"type": "FeatureCollection", "features": 3}', "not a GeoJSON area"),
        ('{"type": "Polygon", "coordinates": [[[0, 5000000], [9, 5000000], [9, 5000009], [0, 5000000]]]}', "degrees"),
        ('{"type": "Point", "coordinates": [9, 50], "crs": {"properties": {"name": "EPSG:32633"}}}', "reproject"),
    ],
)
def test_areas_that_are_none_are_refused(tmp_path, text, why):
    path = tmp_path / "area.geojson"
    path.write_text(text)
    with pytest.raises(SceneError, match=why):
        _area(area=str(path))
