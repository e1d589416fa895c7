"""The quick-look is put together from positions as they pass, and stays small."""

import io

import numpy as np
from PIL import Image

from agri_assets.evaluation.drawing import LARGEST_PNG
from agri_assets.maps.quicklook import UNMAPPED, Mosaic, quicklook_png

BANDS = ("B04", "B03", "B02")


def test_positions_land_in_their_places():
    mosaic = Mosaic(4, 6, 64)
    pixels = np.zeros((2, 3, 64, 64), dtype=np.uint16)
    pixels[0, 0, :, :32] = 200
    pixels[1, 1] = 90
    mosaic.add(pixels, np.array([0, 3]), np.array([1, 5]), BANDS, "dn8")
    image = mosaic.image()
    edge = mosaic.detail
    assert image.shape == (4 * edge, 6 * edge, 3)
    assert image[0, edge].tolist() == [200, 0, 0]
    assert image[0, 2 * edge - 1].tolist() == [0, 0, 0]
    assert image[-1, -1].tolist() == [0, 90, 0]
    assert image[0, 0].tolist() == list(UNMAPPED)


def test_a_full_scene_gives_a_small_picture():
    rng = np.random.default_rng(0)
    mosaic = Mosaic(171, 171, 64)
    mosaic.view[:] = rng.integers(40, 120, mosaic.view.shape, dtype=np.uint8)
    classes = rng.integers(0, 2, (171, 171)).astype(np.uint8)
    content = quicklook_png(mosaic, classes, "31TCJ")
    assert len(content) < LARGEST_PNG
    assert 490 <= Image.open(io.BytesIO(content)).width <= 540
