"""Coarse bands on the fine grid: against a slow reference, and the same whatever the shards."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agri_assets.cube.resample import Axis, resample

FACTORS = st.sampled_from([1.5, 2.0, 3.0, 6.0])


def coarse(seed: int, shape: tuple[int, int], holes: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.integers(1, 65536, shape, dtype=np.uint16)
    values[rng.random(shape) < holes] = 0
    return values


def reference(source: np.ndarray, factor: float, offset: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """Bilinear in exact steps, pixel by pixel."""
    out = np.zeros(shape)
    for row, col in np.ndindex(shape):
        y, x = (row - offset[0] + 0.5) / factor, (col - offset[1] + 0.5) / factor
        if not (0 <= y < source.shape[0] and 0 <= x < source.shape[1]) or source[int(y), int(x)] == 0:
            continue
        total = weight = 0.0
        for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
            top, left = np.floor(y - 0.5), np.floor(x - 0.5)
            share = (1 - abs(y - 0.5 - top - i)) * (1 - abs(x - 0.5 - left - j))
            value = source[
                min(max(int(top) + i, 0), source.shape[0] - 1), min(max(int(left) + j, 0), source.shape[1] - 1)
            ]
            total, weight = total + share * float(value) * (value > 0), weight + share * (value > 0)
        out[row, col] = total / weight
    return out


def cut(source: np.ndarray, factor: float, offset, shape, shard: int, method) -> np.ndarray:
    """The whole grid, made shard by shard, each from no more than the source pixels that it needs."""
    out = np.zeros(shape, source.dtype)
    for y in range(0, shape[0], shard):
        for x in range(0, shape[1], shard):
            target = out[y : y + shard, x : x + shard]
            rows = Axis.of(y, target.shape[0], factor, source.shape[0], offset[0])
            cols = Axis.of(x, target.shape[1], factor, source.shape[1], offset[1])
            if rows and cols:
                (top, bottom), (left, right) = rows.span(method), cols.span(method)
                assert 0 <= top < bottom <= source.shape[0]
                window = source[top:bottom, left:right]
                target[rows.run, cols.run] = resample(window, rows, cols, method)
    return out


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), FACTORS, st.tuples(st.integers(-2, 9), st.integers(-2, 9)))
def test_bilinear_is_the_mean_of_valid_neighbours_by_their_nearness(seed, factor, offset):
    source, shape = coarse(seed, (5, 6), 0.3), (14, 17)
    expected = reference(source, factor, offset, shape)
    found = cut(source, factor, offset, shape, 64, "bilinear")
    # half a unit for rounding, and what single precision loses of five digits
    np.testing.assert_allclose(found, expected, atol=0.52)
    nearest = cut(source, factor, offset, shape, 64, "nearest")
    np.testing.assert_array_equal(found == 0, nearest == 0)


@given(st.integers(0, 2**32 - 1), FACTORS, st.integers(1, 40), st.sampled_from([0.0, 0.02, 0.4]))
def test_shards_leave_no_seam(seed, factor, shard, holes):
    source, shape, offset = coarse(seed, (9, 11), holes), (31, 37), (3, -1)
    for method in ("bilinear", "nearest"):
        whole = cut(source, factor, offset, shape, 64, method)
        np.testing.assert_array_equal(cut(source, factor, offset, shape, shard, method), whole)


@pytest.mark.parametrize("factor", [2, 3, 6])
def test_a_slope_stays_straight_and_flat_ground_flat(factor):
    source = np.tile(np.arange(1000, 3000, 100, dtype=np.uint16), (4, 1))
    found = cut(source, factor, (0, 0), (4 * factor, 20 * factor), 1024, "bilinear").astype(int)
    inner = found[:, factor : -factor - 1]
    expected = 1000 + 100 * ((np.arange(20 * factor) + 0.5) / factor - 0.5)
    np.testing.assert_allclose(inner[0], expected[factor : -factor - 1], atol=0.51)
    flat = np.full((5, 5), 65535, np.uint16)
    assert (cut(flat, factor, (0, 0), (5 * factor, 5 * factor), 7, "bilinear") == 65535).all()


@pytest.mark.parametrize("factor", [1.0, 2.0, 6.0])
def test_nearest_is_the_pixel_underneath_and_nothing_beyond_the_raster(factor):
    source, step = coarse(1, (4, 5), 0.0), int(factor)
    found = cut(source, factor, (7, 3), (50, 60), 16, "nearest")
    expected = np.zeros((50, 60), np.uint16)
    grown = source.repeat(step, 0).repeat(step, 1)
    expected[7 : 7 + grown.shape[0], 3 : 3 + grown.shape[1]] = grown
    np.testing.assert_array_equal(found, expected)
