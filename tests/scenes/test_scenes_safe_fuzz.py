"""Mutated documents and zips: every one reads, or is refused in one line by the project's own error."""

import shutil
import zipfile

import pytest

from agri_assets.errors import SceneError
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.safe import read_safe
from agri_assets.scenes.verify import verify_scene
from tests.scenes.mutations import MUTATORS, mutate

SEEDS = range(60)


@pytest.fixture(scope="module")
def slim(pristine, tmp_path_factory):
    """A product without rasters, except the one of B09, in a folder that the fuzzing may change."""
    product = min(pristine.glob("*.SAFE"))
    target = tmp_path_factory.mktemp("fuzz") / product.name
    shutil.copytree(product, target, ignore=shutil.ignore_patterns("*B0[1-8]*.jp2", "*B1*.jp2", "*B8A*", "*SCL*"))
    return target


def _read(path, then=lambda _: None):
    """Read a product and use its record; only the project's own errors may come of it."""
    reason = ""
    try:
        then(read_safe(path))
    except SceneError as error:
        reason = str(error)
    assert "\n" not in reason
    assert len(reason) < 2000


@pytest.mark.parametrize("name", ["MTD_MSIL2A.xml", "MTD_TL.xml"])
def test_mutated_documents(slim, name):
    path = next(slim.rglob(name))
    whole = path.read_bytes()
    try:
        for seed in SEEDS:
            path.write_bytes(mutate(whole, seed))
            _read(slim)
    finally:
        path.write_bytes(whole)


def _verify_b09(record):
    grid = TileGrid.of(record)
    only = {name: band for name, band in record.bands.items() if name == "B09"}
    verify_scene(record.model_copy(update={"bands": only, "classification": None}), grid)


def test_mutated_manifests(slim):
    path = slim / "manifest.safe"
    whole = path.read_bytes()
    try:
        for seed in SEEDS:
            path.write_bytes(mutate(whole, seed))
            _read(slim, _verify_b09)
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_mutated_zips(slim, zipped, method):
    path = zipped(slim, method=method)
    whole = path.read_bytes()
    directory = whole.rindex(b"PK\x05\x06")
    start = int.from_bytes(whole[directory + 16 : directory + 20], "little")
    for seed in SEEDS:
        # half of them only in the directory, which is a small part of the file
        damaged = whole[:start] + mutate(whole[start:], seed) if seed % 2 else mutate(whole, seed)
        path.write_bytes(damaged)
        _read(path, _verify_b09)


def test_mutations_are_repeatable_and_each_does_something(slim):
    document = (slim / "MTD_MSIL2A.xml").read_bytes()
    assert [mutate(document, seed) for seed in range(20)] == [mutate(document, seed) for seed in range(20)]
    assert sum(mutate(document, seed) != document for seed in SEEDS) > 0.9 * len(SEEDS)
    assert len(MUTATORS) == len(set(MUTATORS))
    for seed in SEEDS:
        assert isinstance(mutate(b"", seed), bytes)
