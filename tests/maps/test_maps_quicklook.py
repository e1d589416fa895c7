"""The quick-look is put together from positions as they pass, and stays small."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from agri_assets.evaluation.drawing import LARGEST_PNG
from agri_assets.maps.quicklook import FINE_VIEW, VIEW, Mosaic, length_text, quicklook_png, round_length, shrunk

BANDS = ("B04", "B03", "B02")


def test_positions_are_shrunk_by_averaging_reflectance():
    pixels = np.zeros((3, 128, 192), dtype=np.uint16)
    pixels[0, :64, 64:96] = 200
    pixels[1, 64:, 128:] = 90
    view = shrunk(pixels, BANDS, "dn8", 64, 4)
    assert view.shape == (2, 3, 4, 4, 3)
    assert view[0, 1, 0].tolist() == [[200, 0, 0]] * 2 + [[0, 0, 0]] * 2
    assert view[1, 2].reshape(-1, 3).tolist() == [[0, 90, 0]] * 16
    pixels[:, :64, :64] = np.random.default_rng(0).integers(0, 255, (3, 64, 64))
    odd = shrunk(pixels, BANDS, "dn8", 64, 5)[0, 0]
    assert odd[0, 1, 2] == round(pixels[2, :12, 12:25].mean())


def test_a_view_is_put_together_and_thinned():
    mosaic = Mosaic(4, 6, 64)
    mosaic.view[3, 5] = 90
    image, edge = mosaic.image, mosaic.detail
    assert image.shape == (4 * edge, 6 * edge, 3)
    assert (image[3 * edge :, 5 * edge :] == 90).all()
    assert image.sum() == 90 * 3 * edge**2
    small = mosaic.thumbnail
    assert max(small.shape) <= VIEW * 1.2
    assert small[-1, -1].tolist() == [90, 90, 90]


@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from([32, 64, 128, 256]))
def test_views_are_bounded_whatever_the_scene(rows, cols, tile_size):
    mosaic = Mosaic(rows, cols, tile_size)
    assert 1 <= mosaic.detail <= tile_size
    assert max(rows, cols) * mosaic.detail <= FINE_VIEW


def test_a_full_scene_gives_a_small_picture():
    rng = np.random.default_rng(0)
    mosaic = Mosaic(171, 171, 64)
    mosaic.view[:] = rng.integers(40, 120, mosaic.view.shape, dtype=np.uint8)
    for classes in (rng.integers(0, 2, (171, 171)), rng.integers(0, 2, (684, 684))):
        content = quicklook_png(mosaic, classes.astype(np.uint8), "31TCJ", 109_440)
        assert len(content) < LARGEST_PNG
        assert 490 <= Image.open(io.BytesIO(content)).width <= 540


@pytest.mark.parametrize(
    ("longest", "length", "text"),
    [(27_360, 20_000, "20 km"), (999, 500, "500 m"), (1_000, 1_000, "1 km"), (2.5, 2, "2 m")],
)
def test_scale_bars_have_round_lengths(longest, length, text):
    assert round_length(longest) == length
    assert length_text(length) == text
