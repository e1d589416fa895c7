"""OmniCloudMask as the classification of a cube.

The package's weights cannot be had where tests run, so a stand-in module takes its place: it has the package's function
with the same parameters and result, calls bright pixels thick cloud, and remembers what it was given.
"""

import importlib.metadata
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from agri_assets.cube.build import build_cube
from agri_assets.cube.masking import masked
from agri_assets.cube.open import cube_info, open_array, read_block
from agri_assets.cube.slots import wanted_dates
from agri_assets.errors import ConfigError, CubeError, SceneError
from agri_assets.scenes import cloud_mask
from agri_assets.scenes.cloud_mask import input_bands, package_version, predict_classes
from agri_assets.scenes.settings import CloudSettings

TILE = "33TWL"
BRIGHT = 2500
MASKED = CloudSettings(mask="omnicloudmask")


@pytest.fixture
def package(monkeypatch):
    """The stand-in, as if it were installed."""
    calls = []

    def predict_from_array(input_array, no_data_value=0, destination_model_dir=None):
        calls.append(SimpleNamespace(array=input_array, nodata=no_data_value, weights=destination_model_dir))
        return np.where(input_array[:1] > BRIGHT, 1, 0).astype(np.uint8)

    monkeypatch.setitem(sys.modules, "omnicloudmask", SimpleNamespace(predict_from_array=predict_from_array))
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.8.1")
    return calls


@pytest.fixture
def colours(site):
    """The site with the bands that masks are made from."""
    bands = ("B03", "B04", "B08")
    return type(site)(site.collection.model_copy(update={"bands": bands, "clouds": MASKED}), site.paths, site.inbox)


def build(site, *records, clouds=None):
    site.inventory(*records)
    collection = site.collection.model_copy(update={"clouds": clouds}) if clouds else site.collection
    return build_cube(collection, site.paths, TILE)


def classes_of(site, slot):
    info = cube_info(site.paths.cube(TILE))
    return read_block(open_array(site.paths.cube(TILE), "scl"), slot, 0, 0, (info.height, info.width))


def test_the_mask_takes_the_place_of_the_products_classes(colours, package):
    outcome = build(colours, colours.scene("2023-08-10", seed=1, hole=slice(0, 64), scl=9))
    red = np.maximum(colours.numbers(1, "B04").astype(int) - 1000, 1)
    red[:64] = 0
    given = package[0].array
    assert given.shape == (3, 1092 // 2, 1080 // 2)
    assert given.dtype == np.uint16
    assert set(np.unique(given[0])) <= set(np.unique(red))
    expected = np.where(given[0] == 0, 0, np.where(given[0] > BRIGHT, 9, 4)).repeat(2, 0).repeat(2, 1)
    assert (classes_of(colours, 0) == expected).all()
    assert outcome.tables["dates"].rows[0]["clear"] == round(float((expected == 4).mean()), 3)


def test_another_mask_builds_the_date_anew(colours, package, monkeypatch):
    record = colours.scene("2023-08-10", seed=1)
    build(colours, record, clouds=CloudSettings())
    assert not package
    build(colours, record)
    assert [slot.active for slot in cube_info(colours.paths.cube(TILE)).slots] == [False, True]
    assert build(colours, record).reused
    # the product's own classes are still in the first slot
    build(colours, record, clouds=CloudSettings())
    assert [slot.active for slot in cube_info(colours.paths.cube(TILE)).slots] == [True, False]
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.9.0")
    build(colours, record)
    assert len(cube_info(colours.paths.cube(TILE)).slots) == 3


def test_classes_have_scls_numbers_and_nodata_is_0(package, monkeypatch):
    found = np.array([[[0, 1, 2, 3, 1]]], dtype=np.uint8)
    stand_in = SimpleNamespace(predict_from_array=lambda *_, **__: found)
    monkeypatch.setitem(sys.modules, "omnicloudmask", stand_in)
    channels = np.ones((3, 1, 5), dtype=np.uint16)
    channels[1, 0, 4] = 0
    assert predict_classes(channels).tolist() == [[4, 9, 10, 3, 0]]


def test_weights_are_taken_from_the_folder_that_is_named(colours, package, tmp_path):
    build(colours, colours.scene("2023-08-10"), clouds=CloudSettings(mask="omnicloudmask", weights=tmp_path))
    assert (package[0].weights, package[0].nodata) == (tmp_path, 0)


def test_without_the_package_one_line_names_the_extra(colours, monkeypatch):
    def version(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setitem(sys.modules, "omnicloudmask", None)
    monkeypatch.setattr(cloud_mask.importlib.metadata, "version", version)
    for ask in (package_version, lambda: predict_classes(np.ones((3, 1, 1), np.uint16))):
        with pytest.raises(ConfigError, match=r"not installed; run `pip install '\.\[clouds\]'` in a clone"):
            ask()
    with pytest.raises(ConfigError, match="not installed"):
        build(colours, colours.scene("2023-08-10"))


def test_weights_that_cannot_be_fetched_refuse_no_date(colours, package, monkeypatch):
    def fail(*_, **__):
        raise OSError("no route\nto host")

    monkeypatch.setitem(sys.modules, "omnicloudmask", SimpleNamespace(predict_from_array=fail))
    with pytest.raises(CubeError, match=r"failed \(no route to host\); set clouds\.weights"):
        build(colours, colours.scene("2023-08-10"))


def test_bands_that_it_cannot_be_made_from_are_told(site, package):
    with pytest.raises(ConfigError, match="needs bands B04, B03 and B8A or B08, the collection has B02, B08"):
        build(site, site.scene("2023-08-10"), clouds=MASKED)
    assert input_bands(("B08", "B8A", "B03", "B04")) == ("B04", "B03", "B8A")


def test_pixels_too_coarse_for_the_models_are_refused(colours, package):
    record = colours.scene("2023-08-10")
    coarse = record.model_copy(update={"transform": (120.0, 0.0, 499980.0, 0.0, -120.0, 5100000.0)})
    build(colours, record)
    (wanted,) = wanted_dates([coarse], cube_info(colours.paths.cube(TILE)))
    with pytest.raises(SceneError, match="pixels of 120 m are too coarse"), masked(wanted, MASKED):
        pass
