"""Clear and valid pixels by the scene classification."""

import json

import numpy as np
import pytest
import rasterio

from agri_assets.scenes.clouds import clear_mask, out_of_range, valid_mask
from agri_assets.scenes.settings import CloudSettings


def test_a_value_that_is_no_class_is_neither_valid_nor_clear():
    data = np.array([[True, True, True, True, False]])
    scl = np.array([[4, 12, 255, 0, 4]], dtype=np.uint8)
    assert valid_mask(data, scl).tolist() == [[True, False, False, True, False]]
    assert not clear_mask(scl, CloudSettings(not_clear=()), 20.0)[0, 1:3].any()
    assert out_of_range(scl) == 2


def test_values_that_are_no_class_do_not_grow():
    scl = np.full((9, 9), 4, dtype=np.uint8)
    scl[4, 4] = 12
    assert np.count_nonzero(~clear_mask(scl, CloudSettings(dilate_m=60), 20.0)) == 1


def test_real_products_are_as_clear_as_their_items_say(shared_data):
    """Clouds, cirrus, shadows and saturated pixels over classified ones; at 120 m small ones are lost."""
    for path in sorted((shared_data / "sentinel2_stac").rglob("S2*.json")):
        said = json.loads(path.read_text())["properties"]
        blocked = ("eo:cloud_cover", "s2:cloud_shadow_percentage", "s2:saturated_defective_pixel_percentage")
        with rasterio.open(path.parent / "SCL.tif") as dataset:
            scl = dataset.read(1)
        seen = scl > 0
        clear = 100 * clear_mask(scl, CloudSettings(), 120.0)[seen].mean()
        assert clear == pytest.approx(100 - sum(said[field] for field in blocked), abs=3), path.name
        assert 100 * (1 - seen.mean()) == pytest.approx(said["s2:nodata_pixel_percentage"], abs=3), path.name
        assert out_of_range(scl) <= 3
