"""Sample scenes with their land cover, and small WorldCover files, for the tests of labels."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine
from rasterio.warp import transform_bounds

from agri_assets.config import Collection
from agri_assets.labels.worldcover import CLASSES
from agri_assets.remote import client as client_module
from agri_assets.remote.http import Http
from agri_assets.remote.s3 import S3
from agri_assets.samples.landcover import MARGIN_PX
from agri_assets.samples.product import make_truth
from agri_assets.samples.tiles import Window, parse_tile
from agri_assets.samples.writer import write_samples
from agri_assets.scenes.catalog import build_catalog, catalog_tile
from agri_assets.store.layout import CollectionPaths

TESTS = Path(__file__).resolve().parents[1]
TILE = "31TCJ"
SEED = 0
STEP = 1 / 12000
"""WorldCover's pixel in degrees."""


@pytest.fixture(scope="session")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    write_samples(folder, [TILE], dates=1, size=384, cloudy_dates=0, seed=SEED)
    return folder


@pytest.fixture
def paths(tmp_path):
    return CollectionPaths(tmp_path / "data", "fields")


@pytest.fixture
def cover(tmp_path):
    folder = tmp_path / "worldcover"
    folder.mkdir()
    return folder


@pytest.fixture
def collection(samples, cover, paths):
    """A catalogued collection of one small tile, with land cover in a folder that tests fill."""
    found = Collection.model_validate(
        {
            "name": "fields",
            "source": {"kind": "safe", "path": str(samples)},
            "bands": ["B02"],
            "labels": {"kind": "worldcover", "path": str(cover)},
        }
    )
    build_catalog(found, paths)
    return found


def _write_cover(path, bounds, classes=None, crs="EPSG:4326", dtype="uint8", seed=0, bands=1):
    west, south, east, north = bounds
    height, width = round((north - south) / STEP), round((east - west) / STEP)
    if classes is None:
        codes = np.array([entry.code for entry in CLASSES])
        classes = np.random.default_rng(seed).choice(codes, (height, width))
    classes = np.broadcast_to(np.asarray(classes, dtype), (height, width))
    place = Affine(STEP, 0, west, 0, -STEP, north)
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=bands, dtype=dtype, crs=crs, transform=place
    ) as out:
        out.write(np.stack([classes] * bands))
    return path


@pytest.fixture
def write_worldcover():
    """Writes a small WorldCover file: (path, bounds, classes=, crs=, dtype=, seed=, bands=)."""
    return _write_cover


@pytest.fixture
def around(collection, paths):
    """(west, south, east, north) a little beyond the tile."""
    grid = catalog_tile(paths, TILE).grid
    west, south, east, north = transform_bounds(grid.crs, "EPSG:4326", *grid.bounds)
    return west - 0.01, south - 0.01, east + 0.01, north + 0.01


def _module(path):
    spec = importlib.util.spec_from_file_location(f"labels_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A web server with faults, over an empty folder; retries come at once."""
    for kind in (Http, S3):
        monkeypatch.setattr(kind, "backoff_s", 0.001)
    client_module._forget()
    folder = tmp_path / "served"
    folder.mkdir()
    with _module(TESTS / "remote" / "server.py").RemoteServer(folder) as server:
        yield server
    client_module._forget()


@pytest.fixture
def stac_api():
    """Makes a STAC API in a `site`: (site, items, ...)."""
    return _module(TESTS / "scenes" / "stac_server.py").StacApi


@pytest.fixture(scope="session")
def truth():
    """The generator's own land-cover codes on the tile's grid."""

    def codes(grid):
        _, _, left, _, _, top = grid.transform
        found = make_truth(Window(parse_tile(TILE), int(left), int(top), grid.height), SEED).codes
        return found[MARGIN_PX : MARGIN_PX + grid.height, MARGIN_PX : MARGIN_PX + grid.width]

    return codes
