"""Maps of overlapping windows: as a plain loop over all windows gives them, and without seams."""

import numpy as np
import pytest
import rasterio
from rio_cogeo.cogeo import cog_validate

from agri_assets.cube.index import read_index
from agri_assets.cube.open import open_reflectance
from agri_assets.cube.schema import CubeInfo, Slot
from agri_assets.maps.land_map import build_map
from agri_assets.maps.positions import Chosen
from agri_assets.maps.reading import Rules, WindowReader
from agri_assets.maps.windows import WindowGrid
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.settings import CloudSettings
from tests.splits.worlds import write_cube

TILE, STRIDE, SIZE = "31TCJ", 16, 32


def remap(study, **settings):
    changed = study.collection.map.model_copy(update=settings)
    return study.collection.model_copy(update={"map": changed})


def best_rows(index):
    """By position its acquisition and whether that is usable, by a plain loop."""
    found = {}
    for row in index.itertuples():
        usable = row.clear_fraction >= 0.5 and row.valid_fraction >= 0.95
        rank = usable, row.clear_fraction, row.date
        if rank > found.get((row.row, row.col), ((),))[0]:
            found[row.row, row.col] = rank, row.slot
    return {place: (slot, rank[0]) for place, (rank, slot) in found.items()}


def expected(index, pixels):
    """(rows, cols) probabilities of squares, window by window."""
    best, edge = best_rows(index), SIZE // STRIDE
    rows, cols = pixels.shape[1] // STRIDE, pixels.shape[2] // STRIDE
    total, count = np.zeros((rows, cols)), np.zeros((rows, cols))
    for row in range(rows - edge + 1):
        for col in range(cols - edge + 1):
            home = (row * STRIDE + SIZE // 2) // SIZE, (col * STRIDE + SIZE // 2) // SIZE
            slot, usable = best[home]
            y, x = row * STRIDE, col * STRIDE
            window = pixels[slot, y : y + SIZE, x : x + SIZE]
            if usable if row % edge == 0 and col % edge == 0 else (window > 0).mean() >= 0.95:
                total[row : row + edge, col : col + edge] += window.mean() / 10_000
                count[row : row + edge, col : col + edge] += 1
    return np.divide(total, count, out=np.full((rows, cols), np.nan), where=count > 0)


def test_squares_are_the_means_of_all_windows_over_them(study):
    outcome = build_map(remap(study, stride=STRIDE), study.paths, TILE)
    index = read_index(study.paths.tiles(TILE))
    pixels = np.asarray(open_reflectance(study.paths.cube(TILE))[:, 0:1, :, :])[:, 0]
    truth = expected(index, pixels)
    with rasterio.open(outcome.metadata["probability"]) as file:
        percent = file.read(1)
        assert file.tags()["stride_pixels"] == str(STRIDE)
    assert percent.shape == (1536, 1536)
    squares = percent[::STRIDE, ::STRIDE]
    assert np.array_equal(squares.repeat(STRIDE, 0).repeat(STRIDE, 1), percent)
    assert np.array_equal(squares == 255, np.isnan(truth))
    known = ~np.isnan(truth)
    assert np.abs(squares[known] - truth[known] * 100).max() <= 0.5 + 1e-6
    assert outcome.metadata["mapped_km2"] == pytest.approx(known.sum() * 0.16**2)
    assert outcome.metadata["agricultural_km2"] == pytest.approx((truth[known] >= 0.5).sum() * 0.16**2)
    for path in (outcome.path, outcome.metadata["probability"]):
        assert cog_validate(path, strict=True) == (True, [], [])


def test_a_stride_that_is_the_tile_size_gives_the_same_map(study):
    plain = build_map(study.collection, study.paths, TILE)
    same = build_map(remap(study, stride=SIZE), study.paths, TILE)
    assert not same.reused
    assert same.data_version == plain.data_version


def test_a_stride_that_does_not_divide_the_tile_size_is_refused(study):
    raw = study.collection.model_dump(mode="json") | {"map": {"stride": 24}}
    with pytest.raises(ValueError, match=r"map\.stride must divide tile_size 32, got 24"):
        type(study.collection).model_validate(raw)


class Smooth:
    """A probability that is a smooth function of a window's mean brightness."""

    def predict(self, pixels):
        return 1 / (1 + np.exp(-(pixels.mean(axis=(1, 2, 3)) - 4_000) / 800))


def seam_ratio(probability, squares):
    """Mean gradient between neighbours across seams, one every so many squares, over that elsewhere."""
    across, elsewhere = [], []
    for steps in (np.abs(np.diff(probability, axis=0)), np.abs(np.diff(probability, axis=1)).T):
        seam = (np.arange(len(steps)) + 1) % squares == 0
        across.append(steps[seam].ravel())
        elsewhere.append(steps[~seam].ravel())
    return np.concatenate(across).mean() / np.concatenate(elsewhere).mean()


def smooth_cube(folder, pixels):
    """A cube of one date and one band whose brightness has no edges, in 36 shards."""
    y, x = np.mgrid[:pixels, :pixels]
    waves = 4_000 + 1_500 * np.sin(y / 130 + 1) * np.cos(x / 170) + 700 * np.sin((x + y) / 60)
    slot = Slot(slot=0, date="2023-06-01", scene_id="made", fingerprint="", active=True, digest="")
    grid = TileGrid(crs="EPSG:32631", transform=(10, 0, 390_240, 0, -10, 4_900_000), height=pixels, width=pixels)
    sizes = {"tile_size": SIZE, "shard_size": 256, "height": pixels, "width": pixels}
    info = CubeInfo(tile=TILE, bands=("B04",), units="reflectance", grid=grid, slots=(slot,), **sizes)
    write_cube(folder / "cube.zarr", info, waves[None, None].astype(np.uint16))
    return folder / "cube.zarr", info


def test_seams_are_no_steeper_than_the_map_elsewhere(tmp_path):
    path, info = smooth_cube(tmp_path, 1_300)
    grid = WindowGrid((40, 40), SIZE, STRIDE, info.shard_size // SIZE)
    everywhere = Chosen(None, np.zeros((40, 40), dtype=np.int32), np.ones((40, 40), dtype=bool))
    reader = WindowReader(path, info, grid, everywhere, Rules(0.95, 0.5, CloudSettings()), 2)
    windows = np.full(grid.shape, np.nan)
    for piece in reader.pieces(grid.units):
        windows[piece.row, piece.col] = Smooth().predict(piece.pixels)
    squares = grid.mean(windows)
    assert np.isfinite(squares).all()
    assert np.ptp(squares) > 0.3
    of_tile, of_shard = SIZE // STRIDE, info.shard_size // STRIDE
    assert seam_ratio(squares, of_tile) <= 1.1
    assert seam_ratio(squares, of_shard) <= 1.1
    # the measure finds seams where there are some: of tiles without overlap, and of shards without their neighbours
    tiles = grid.of_positions(squares).repeat(of_tile, 0).repeat(of_tile, 1)
    assert seam_ratio((squares + tiles) / 2, of_tile) > 1.1
    shards = (np.indices(squares.shape) // of_shard).sum(axis=0) % 2
    assert seam_ratio(squares + 0.05 * shards, of_shard) > 1.1
