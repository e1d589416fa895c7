"""The same scenes from a folder, from zips, from a STAC catalogue of COGs and from stacks: equal cubes."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rioxarray  # noqa: F401  (gives `.rio`)
import xarray as xr

from agri_assets.config import Collection
from agri_assets.cube.build import build_cube
from agri_assets.labels.land_cover import build_land_cover
from agri_assets.samples.writer import write_samples
from agri_assets.scenes.catalog import build_catalog
from agri_assets.scenes.inventory import take_inventory
from agri_assets.scenes.safe import read_safe
from agri_assets.store.layout import CollectionPaths
from benchmarks.catalogs import convert_product, write_catalog

TILE = "31TCJ"
BANDS = ["B02", "B05", "B09"]


@pytest.fixture(scope="module")
def inbox(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("products")
    write_samples(folder, [TILE], dates=2, size=384, cloudy_dates=1, damaged=0)
    return folder


def products(inbox: Path) -> list[Path]:
    return sorted(inbox.glob("*.SAFE"))


def zipped(inbox: Path, target: Path) -> Path:
    for product in products(inbox):
        with zipfile.ZipFile(target / f"{product.stem}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(product.rglob("*")):
                archive.write(path, path.relative_to(inbox))
    return target


def catalogued(inbox: Path, target: Path) -> Path:
    items = [convert_product(product, target) for product in products(inbox)]
    return write_catalog(target, items).parent


def stacked(inbox: Path, target: Path) -> Path:
    for product in products(inbox):
        item = json.loads(convert_product(product, target).read_text())
        record = read_safe(product)
        sidecar = {
            "sidecar": 1,
            "tile": TILE,
            "acquired": record.acquired.isoformat(),
            "platform": record.platform,
            "level": "L2A",
            "processing_baseline": record.processing_baseline,
            "quantification": 10000,
            "offset": record.radiometry.offset,
            "nodata": 0,
            "bands": {name: {"file": f"{name}.tif"} for name in item["assets"] if name != "SCL"},
            "classification": {"file": "SCL.tif"},
        }
        (target / record.scene_id / "one.scene.json").write_text(json.dumps(sidecar))
    return target


def cube_of(kind: str, place: Path, cover: Path, root: Path, resampling: str = "nearest") -> xr.DataArray:
    collection = Collection.model_validate(
        {
            "name": kind,
            "source": {"kind": kind, "path": str(place)},
            "bands": BANDS,
            "labels": {"kind": "worldcover", "path": str(cover)},
            "resampling": resampling,
        }
    )
    paths = CollectionPaths(root, kind)
    build_catalog(collection, paths)
    take_inventory(collection, paths, TILE)
    build_land_cover(collection, paths, TILE)
    outcome = build_cube(collection, paths, TILE)
    assert not outcome.warnings
    return xr.open_zarr(outcome.path)["reflectance"].load()


@pytest.mark.parametrize(
    ("kind", "form"),
    [("safe", zipped), ("stac_catalog", catalogued), ("geotiff", stacked)],
    ids=["zip", "stac", "stack"],
)
def test_every_form_of_the_same_scenes_makes_the_same_cube(kind, form, inbox, tmp_path):
    place = tmp_path / "source"
    place.mkdir()
    cover = inbox / "land_cover"
    expected = cube_of("safe", inbox, cover, tmp_path / "expected")
    found = cube_of(kind, form(inbox, place), cover, tmp_path / "found")
    assert expected.sizes["time"] == 2
    assert (expected > 0).any()
    np.testing.assert_array_equal(found.values, expected.values)
    for name in ("time", "band", "y", "x"):
        np.testing.assert_array_equal(found[name].values, expected[name].values)
    assert found.rio.crs == expected.rio.crs
