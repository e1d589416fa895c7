import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agri_assets.errors import SceneError
from agri_assets.scenes.clouds import clear_mask, dilate, out_of_range
from agri_assets.scenes.footprint import cut, polygon
from agri_assets.scenes.naming import platform_name, tile_in, with_sequence
from agri_assets.scenes.settings import CloudSettings
from agri_assets.scenes.tile_grid import nominal_grid


def _area(ring):
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in itertools.pairwise(ring))) / 2


@given(st.floats(-185, 184), st.floats(-80, 80), st.floats(0.1, 5), st.floats(0.1, 5))
def test_a_footprint_keeps_its_area_and_stays_within_the_world(west, south, width, height):
    corners = [(west, south), (west + width, south), (west + width, south + height), (west, south + height)]
    wrapped = [((lon + 180) % 360 - 180, lat) for lon, lat in corners]
    shape = polygon([*wrapped, wrapped[0]])
    rings = [part[0] for part in shape["coordinates"]] if shape["type"] == "MultiPolygon" else shape["coordinates"]
    assert sum(map(_area, rings)) == pytest.approx(width * height, rel=1e-6, abs=1e-6)
    assert all(ring[0] == ring[-1] and all(-180 <= lon <= 180 for lon, _ in ring) for ring in rings)


def test_a_footprint_across_the_antimeridian_is_cut_there():
    shape = polygon([(179, 0), (-179, 0), (-179, 1), (179, 1), (179, 0)])
    assert shape["type"] == "MultiPolygon"
    assert [_area(part[0]) for part in shape["coordinates"]] == [1, 1]


def test_every_part_of_a_footprint_is_cut_with_its_holes():
    hole = [(-179.9, 0.2), (-179.1, 0.2), (-179.1, 0.8), (-179.9, 0.8), (-179.9, 0.2)]
    across = [(179, 0), (-179, 0), (-179, 1), (179, 1), (179, 0)]
    beyond = [(182, 5), (183, 5), (183, 6), (182, 6), (182, 5)]
    plain = [(10, 5), (11, 5), (11, 6), (10, 6), (10, 5)]
    cutting = cut([[across, hole], [beyond], [plain]])
    parts = cutting["coordinates"]
    assert [len(part) for part in parts] == [1, 2, 1, 1]
    assert [sum(map(_area, part[:1])) - sum(map(_area, part[1:])) for part in parts] == pytest.approx([1, 0.52, 1, 1])
    assert {lon for lon, _ in parts[2][0]} == {-178, -177}
    assert all(-180 <= lon <= 180 for part in parts for ring in part for lon, _ in ring)


def test_a_hole_across_the_antimeridian_is_cut_too():
    across = [(178, 0), (-178, 0), (-178, 3), (178, 3), (178, 0)]
    hole = [(179.5, 1), (-179.5, 1), (-179.5, 2), (179.5, 2), (179.5, 1)]
    parts = cut([[across, hole]])["coordinates"]
    assert sum(_area(part[0]) - sum(map(_area, part[1:])) for part in parts) == pytest.approx(11)


def test_nominal_grids_are_those_of_real_products(shared_data):
    seen = 0
    for path in (shared_data / "stac_items").rglob("*.json"):
        item = json.loads(path.read_text())
        tile = item["properties"].get("grid:code") or item["properties"].get("s2:mgrs_tile")
        blue = item.get("assets", {}).get("blue") or item.get("assets", {}).get("B02")
        if tile and blue:
            grid = nominal_grid(tile.removeprefix("MGRS-"), 10.0)
            assert list(grid.transform) == blue["proj:transform"][:6], tile
            assert grid.crs == f"EPSG:{item['properties']['proj:epsg']}"
            seen += 1
    assert seen > 20


def test_a_name_that_is_no_tile_has_no_grid():
    with pytest.raises(SceneError, match="not an MGRS tile"):
        nominal_grid("33TAL", 10.0)


@pytest.mark.parametrize(
    ("text", "tile"),
    [
        ("S2A_MSIL2A_20230625T234621_N0509_R073_T01WCP_20230626T022158.SAFE", "01WCP"),
        ("S2A_33TWL_20230815_0_L2A", "33TWL"),
        ("S2B_1WCP_20230815_0_L2A", "01WCP"),
        ("L2A_T33XWJ_A026649_20220413T150756", "33XWJ"),
        ("MGRS-07HFE", "07HFE"),
        ("no tile here", None),
    ],
)
def test_tiles_in_names(text, tile):
    assert tile_in(text) == tile


def test_platforms_have_one_spelling():
    assert {platform_name(text) for text in ("Sentinel-2A", "sentinel-2a", "S2A", "SENTINEL2A")} == {"sentinel-2a"}
    assert with_sequence("S2A_33TWL_20230815_0_L2A", 2) == "S2A_33TWL_20230815_2_L2A"


@given(st.integers(0, 2**32 - 1), st.floats(1, 4))
def test_dilation_is_all_pixels_within_the_radius(seed, radius):
    mask = np.random.default_rng(seed).random((9, 12)) < 0.1
    rows, cols = np.indices(mask.shape)
    expected = np.zeros_like(mask)
    for row, col in zip(*np.nonzero(mask), strict=True):
        expected |= (rows - row) ** 2 + (cols - col) ** 2 <= radius**2
    assert np.array_equal(dilate(mask, radius), expected)


def test_classes_and_unknown_values_are_not_clear():
    scl = np.array([[4, 5, 8], [0, 12, 6], [3, 255, 11]], np.uint8)
    clear = clear_mask(scl, CloudSettings(), 20.0)
    assert clear.tolist() == [[True, True, False], [False, False, True], [False, False, True]]
    assert out_of_range(scl) == 2


def test_clouds_are_grown_and_nodata_is_not():
    scl = np.full((1, 11), 4, np.uint8)
    scl[0, 2], scl[0, 8] = 9, 0
    clear = clear_mask(scl, CloudSettings(dilate_m=40), 20.0)
    assert np.flatnonzero(~clear[0]).tolist() == [0, 1, 2, 3, 4, 8]
