"""Windows overlap as the stride says, and squares are the means of those that cover them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agri_assets.maps.windows import WindowGrid, covered

grids = st.builds(
    lambda rows, cols, overlap, shard: WindowGrid((rows, cols), 8 * overlap, 8, shard),
    st.integers(1, 7),
    st.integers(1, 7),
    st.sampled_from([1, 2, 3, 4]),
    st.integers(1, 4),
)


@given(grids, st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_squares_are_means_of_the_windows_that_cover_them(grid, seed):
    random = np.random.default_rng(seed)
    windows = np.where(random.random(grid.shape) < 0.3, np.nan, random.random(grid.shape))
    squares = grid.mean(windows)
    assert squares.shape == grid.squares
    for row, col in np.ndindex(*grid.squares):
        near = windows[max(0, row - grid.overlap + 1) : row + 1, max(0, col - grid.overlap + 1) : col + 1]
        known = near[np.isfinite(near)]
        if len(known):
            assert squares[row, col] == pytest.approx(known.mean())
        else:
            assert np.isnan(squares[row, col])


@given(grids)
@settings(max_examples=60)
def test_every_window_belongs_to_one_unit_and_to_the_position_of_its_centre(grid):
    seen, positions = np.zeros(grid.shape, int), np.zeros(grid.positions, int)
    for unit in grid.units:
        seen[grid.part(unit)] += 1
        positions[grid.part_positions(unit)] += 1
    assert (seen == 1).all()
    assert (positions == 1).all()
    row = np.arange(grid.shape[0])
    home = grid.home(row)
    middle = row * grid.stride + grid.tile_size / 2
    assert ((home * grid.tile_size <= middle) & (middle < (home + 1) * grid.tile_size)).all()
    assert home.max() < grid.positions[0]


def test_without_overlap_windows_squares_and_positions_are_one():
    grid = WindowGrid((3, 5), 64, 64, 16)
    windows = np.random.default_rng(0).random((3, 5))
    windows[1, 2] = np.nan
    assert grid.shape == grid.squares == grid.positions
    assert np.array_equal(grid.mean(windows), windows, equal_nan=True)
    assert np.array_equal(grid.of_positions(windows), windows, equal_nan=True)
    assert grid.home(np.arange(5)).tolist() == [0, 1, 2, 3, 4]


@given(st.integers(1, 4), st.integers(0, 99))
@settings(max_examples=30)
def test_pixels_of_windows_are_counted(overlap, seed):
    mask = np.random.default_rng(seed).random((40, 56)) < 0.5
    counts = covered(mask, 8 * overlap, 8)
    for row, col in np.ndindex(*counts.shape):
        assert counts[row, col] == mask[row * 8 : (row + overlap) * 8, col * 8 : (col + overlap) * 8].sum()
    assert counts.shape == (40 // 8 - overlap + 1, 56 // 8 - overlap + 1)
