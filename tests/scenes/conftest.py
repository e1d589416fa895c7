"""Sample products for the tests of scenes: written once, copied where a test changes them."""

import shutil
import zipfile
from pathlib import Path

import pytest

from agri_assets.config import Collection
from agri_assets.samples.writer import write_samples
from agri_assets.store.layout import CollectionPaths

TILE = "31TCJ"


@pytest.fixture(scope="session")
def pristine(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    write_samples(folder, [TILE], dates=2, size=384, cloudy_dates=1, damaged=0)
    return folder


@pytest.fixture
def inbox(pristine, tmp_path) -> Path:
    """A folder of two products of one tile that a test may change."""
    return Path(shutil.copytree(pristine, tmp_path / "inbox"))


@pytest.fixture
def products(inbox) -> list[Path]:
    return sorted(inbox.glob("*.SAFE"), key=lambda path: path.name[11:19])


@pytest.fixture
def zipped(tmp_path):
    """Zip a product: as the download is (stored), or with `method`; `inside` is the folder it gets in the zip."""

    def pack(product: Path, name="product.zip", method=zipfile.ZIP_STORED, inside=None, without=()) -> Path:
        target = tmp_path / name
        top = product.name if inside is None else inside
        with zipfile.ZipFile(target, "w", method) as archive:
            for path in sorted(product.rglob("*")):
                if path.name not in without:
                    archive.write(path, str(Path(top) / path.relative_to(product)))
        return target

    return pack


@pytest.fixture
def collection(inbox) -> Collection:
    return collection_of({"kind": "safe", "path": str(inbox)})


@pytest.fixture
def paths(tmp_path) -> CollectionPaths:
    return CollectionPaths(tmp_path / "data", "fields")


def collection_of(source: dict, bands=("B02", "B05"), **more) -> Collection:
    labels = {"kind": "worldcover", "path": "unused"}
    return Collection.model_validate({"name": "fields", "source": source, "bands": bands, "labels": labels, **more})


@pytest.fixture
def make_collection():
    return collection_of
