import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agri_assets.samples.covers import CROP
from agri_assets.samples.ground import Block
from agri_assets.samples.landscape import make_land
from agri_assets.samples.noise import gradient_noise, normal, uniform
from agri_assets.samples.passes import plan_passes
from agri_assets.samples.product import blocks, make_truth
from agri_assets.samples.render import render, widened
from agri_assets.samples.tiles import parse_tile, place_windows

PIXEL_FIELDS = ("code", "vigour", "stripe", "grain", "road", "margin", "height", "slope_east", "slope_north")


@settings(max_examples=8, deadline=None)
@given(dx=st.integers(0, 90), dy=st.integers(0, 90), width=st.integers(20, 60), height=st.integers(20, 60))
def test_land_does_not_depend_on_the_block_it_is_asked_for_in(dx, dy, width, height):
    whole = Block(32631, 39000, -485600, 150, 150)
    part = Block(32631, 39000 + dx, -485600 + dy, width, height)
    big, small = make_land(whole, 3), make_land(part, 3)
    for name in PIXEL_FIELDS:
        cut = getattr(big, name)[dy : dy + height, dx : dx + width]
        np.testing.assert_array_equal(getattr(small, name), cut, err_msg=name)


@pytest.mark.parametrize("cloudy", [0, 1])
def test_pixels_do_not_depend_on_the_block(cloudy):
    overpass = plan_passes([parse_tile("31TCJ")], 1, cloudy, 0, 0)[0]
    big = render(make_land(widened(Block(32631, 39000, -485604, 240, 240)), 0), overpass)
    small = render(make_land(widened(Block(32631, 39060, -485580, 96, 120)), 0), overpass)
    for band, values in small.bands.items():
        step = big.bands["B02"].shape[0] // big.bands[band].shape[0]
        rows, cols = slice(24 // step, (24 + 120) // step), slice(60 // step, (60 + 96) // step)
        np.testing.assert_array_equal(values, big.bands[band][rows, cols], err_msg=band)
        assert values.min() >= 1


def test_tiles_of_neighbouring_zones_show_the_same_land():
    """30TYN and 31TCH overlap across the zone border; nearest pixels carry the same code but for edges."""
    import rasterio.warp
    from rasterio.transform import from_origin

    windows = place_windows(["30TYN", "31TCH"], 480)
    one, other = (make_truth(window, 0) for window in windows)
    margin = 480
    onto = np.zeros_like(one.codes)
    rasterio.warp.reproject(
        other.codes,
        onto,
        src_transform=from_origin(other.window.ulx - margin, other.window.uly + margin, 10, 10),
        src_crs=f"EPSG:{other.window.tile.epsg}",
        dst_transform=from_origin(one.window.ulx - margin, one.window.uly + margin, 10, 10),
        dst_crs=f"EPSG:{one.window.tile.epsg}",
        resampling=rasterio.warp.Resampling.nearest,
    )
    both = onto > 0
    assert both.mean() > 0.1
    assert (onto[both] == one.codes[both]).mean() > 0.9


@pytest.mark.parametrize(("tile", "seed"), [("31TCJ", 0), ("33TWL", 1)])
def test_country_is_organised_so_that_tile_positions_have_a_clear_label(tile, seed):
    (window,) = place_windows([tile], 1536)
    codes = np.zeros((1536, 1536), np.uint8)
    first = blocks(window)[0]
    for block in blocks(window):
        r, c = block.row - first.row, block.col - first.col
        codes[r : r + block.height, c : c + block.width] = make_land(block, seed).code
    crop = codes == CROP
    share = crop.reshape(24, 64, 24, 64).mean(axis=(1, 3))
    assert 0.25 < crop.mean() < 0.6
    assert ((share <= 0.2) | (share >= 0.6)).mean() > 0.75
    oracle = np.kron(share >= 0.5, np.ones((64, 64), bool))
    assert (oracle & crop).sum() / (oracle | crop).sum() > 0.65


def test_noise_is_spread_as_promised():
    x, y = np.meshgrid(np.arange(600.0), np.arange(600.0))
    smooth = gradient_noise(x * 31, y * 31, 1000.0, 5)
    assert smooth.std() == pytest.approx(1, abs=0.15)
    columns, rows = np.arange(500)[None, :], np.arange(500)[:, None]
    draws = normal(columns, rows, 9)
    assert draws.mean() == pytest.approx(0, abs=0.01)
    assert draws.std() == pytest.approx(1, abs=0.01)
    assert abs(np.corrcoef(draws[:, 1:].ravel(), draws[:, :-1].ravel())[0, 1]) < 0.01
    flat = uniform(columns, rows, 9)
    assert np.histogram(flat, 10, (0, 1))[0].std() < 500
