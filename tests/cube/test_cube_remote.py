"""From a search to the cube over HTTP, on the six real products, with everything that goes wrong on the way."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from agri_assets.config import Collection
from agri_assets.cube.build import build_cube
from agri_assets.cube.open import cube_info, open_cube
from agri_assets.remote import client as client_module
from agri_assets.remote.http import Http
from agri_assets.scenes import stac_api
from agri_assets.scenes.catalog import build_catalog, catalog_tile
from agri_assets.scenes.inventory import read_inventory, take_inventory
from agri_assets.store.layout import CollectionPaths
from tests.cube.test_cube_real import fake_land_cover
from tests.remote.server import RemoteServer
from tests.scenes.stac_server import StacApi

SIX = "sentinel2_stac/sentinel-2-l2a"
BANDS = ("B02", "B08")
TILE, SCENE, DATE = "33TWL", "S2A_33TWL_20230815_0_L2A", "2023-08-15"
BAND = f"{SCENE}/B08.tif"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(Http, "backoff_s", 0.001)
    monkeypatch.setattr(stac_api, "RETRIES", stac_api.RETRIES.new(backoff_factor=0, backoff_jitter=0))
    client_module._forget()
    yield
    client_module._forget()


@pytest.fixture
def site(shared_data, tmp_path):
    """The real products as they are: JPEG 2000 with the georeference in a file beside each raster."""
    folder = tmp_path / "served"
    wanted = [*BANDS, "SCL"]
    for path in (shared_data / SIX).glob("*/*"):
        if path.name.split(".")[0] in wanted or path.name.startswith("S2"):
            (folder / path.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / path.parent.name / path.name)
    with RemoteServer(folder) as server:
        yield server


@pytest.fixture
def api(site) -> StacApi:
    items = []
    for path in sorted(site.folder.glob("*/S2*.json")):
        item = json.loads(path.read_text())
        here = {key: asset for key, asset in item["assets"].items() if "://" not in asset["href"]}
        item["assets"] = {
            key: {**asset, "href": site.at(f"{path.parent.name}/{Path(asset['href']).name}")}
            for key, asset in here.items()
        }
        items.append(item)
    return StacApi(site, items)


class Search:
    """A collection searched in the local API, stage by stage."""

    def __init__(self, api: StacApi, root: Path, **settings: object) -> None:
        source = {"kind": "stac", "path": api.url, "tiles": ["33TWL", "33TWM"], **settings}
        labels = {"kind": "worldcover", "path": str(root)}
        values = {"name": "real", "source": source, "bands": BANDS, "labels": labels}
        self.collection, self.paths = Collection.model_validate(values), CollectionPaths(root / "data", "real")

    def prepare(self) -> None:
        build_catalog(self.collection, self.paths)
        take_inventory(self.collection, self.paths, TILE)
        fake_land_cover(self.paths, catalog_tile(self.paths, TILE))

    def build(self):
        return build_cube(self.collection, self.paths, TILE)

    def dates(self) -> list[str | None]:
        return [slot.date for slot in cube_info(self.paths.cube(TILE)).active]

    def refused(self) -> dict[str, str | None]:
        entries = read_inventory(self.paths, TILE).entries
        return {entry.name: entry.reason for entry in entries if entry.state.value == "refused"}


@pytest.fixture
def search(api, tmp_path) -> Callable[..., Search]:
    return lambda **settings: Search(api, tmp_path, **settings)


def check_pixels(found: Search, shared_data: Path) -> None:
    """Every pixel of every date that is in the cube is the product's own: nothing became nodata on the way."""
    cube = open_cube(found.paths.cube(TILE))["reflectance"]
    for slot in cube_info(found.paths.cube(TILE)).active:
        for band in BANDS:
            with rasterio.open(shared_data / SIX / slot.scene_id / f"{band}.tif") as dataset:
                np.testing.assert_array_equal(cube.sel(time=slot.date, band=band).values, dataset.read(1))


def test_search_to_cube(api, search, shared_data):
    found = search()
    found.prepare()
    assert len(api.searches) > 1, "the six items come in several pages"
    outcome = found.build()
    assert not outcome.warnings
    assert found.dates() == ["2023-08-10", DATE, "2023-08-18"]
    check_pixels(found, shared_data)


@pytest.mark.parametrize(
    "fault",
    [{"kind": "status", "status": 429, "retry_after": "1"}, {"kind": "status", "status": 503}, {"kind": "cut"}],
    ids=["429 with Retry-After", "503", "cut in the middle"],
)
@pytest.mark.parametrize("download", [False, True])
def test_what_passes_is_waited_for(site, search, shared_data, fault, download):
    found = search(download=download)
    if download:
        site.fail(BAND, times=2, **fault)
    found.prepare()
    if not download:
        site.fail(BAND, times=2, **fault)
    asked = site.counts[f"/{BAND}"]
    assert not found.build().warnings
    assert download or site.counts[f"/{BAND}"] > asked + 2
    assert DATE in found.dates()
    check_pixels(found, shared_data)


def test_addresses_are_signed_at_each_read_and_again_after_a_403(site, api, search, shared_data, tmp_path):
    site.protected = "/S2"
    found = search(sign=site.sas)
    found.prepare()
    site.revoke()
    assert not found.build().warnings
    check_pixels(found, shared_data)
    stored = [path for path in (tmp_path / "data").rglob("*") if path.suffix in (".json", ".parquet")]
    assert stored
    assert not any(b"sig=" in path.read_bytes() for path in stored)


def test_a_missing_band_is_refused_for_good_and_the_others_go_on(site, search, shared_data):
    (site.folder / BAND).unlink()
    found = search()
    found.prepare()
    assert "404" in str(found.refused()[SCENE])
    found.build()
    assert found.dates() == ["2023-08-10", "2023-08-18"]
    check_pixels(found, shared_data)
    asked = site.counts[f"/{BAND}"]
    take_inventory(found.collection, found.paths, TILE)
    assert site.counts[f"/{BAND}"] == asked, "a 404 is not asked for again by itself"


def test_a_truncated_raster_is_refused(site, search, shared_data):
    path = site.folder / BAND
    path.write_bytes(path.read_bytes()[:20000])
    found = search()
    found.prepare()
    refused = found.refused()
    outcome = found.build()
    assert SCENE in refused or any(SCENE in warning for warning in outcome.warnings)
    assert found.dates() == ["2023-08-10", "2023-08-18"]
    check_pixels(found, shared_data)


def test_a_host_that_stays_away_is_tried_again_in_the_next_run(site, search, shared_data):
    found = search()
    found.prepare()
    site.fail(BAND, "status", times=1000, status=503)
    (warning,) = found.build().warnings
    assert "503" in warning
    assert found.dates() == ["2023-08-10", "2023-08-18"]
    site._faults.clear()
    assert not found.build().warnings
    assert found.dates() == ["2023-08-10", DATE, "2023-08-18"]
    check_pixels(found, shared_data)
