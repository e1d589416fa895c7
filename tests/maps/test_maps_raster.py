"""Maps are valid COGs on the cube's grid, and every position fills its own square."""

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rio_cogeo.cogeo import cog_validate

from agri_assets.maps.raster import COLOURS, NODATA, Layer, classify, layers, write_map
from agri_assets.scenes.grid import TileGrid

SIZE = 64


def grid(height, width):
    return TileGrid(
        crs="EPSG:32631", transform=(10.0, 0.0, 300000.0, 0.0, -10.0, 4900020.0), height=height, width=width
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    place = grid(1100, 1350)
    probability = np.random.default_rng(0).random(place.positions(SIZE))
    probability[3, 4] = np.nan
    paths = (folder / "class.tif", folder / "probability.tif")
    for path, layer in zip(paths, layers(probability, 0.4), strict=True):
        write_map(path, place, SIZE, layer, {"model": "m", "threshold": "0.4"})
    return place, probability, paths


def test_maps_are_valid_cogs_with_overviews_and_nothing_else_is_left(written):
    _, _, paths = written
    for path in paths:
        valid, errors, warnings = cog_validate(path, strict=True)
        assert (valid, errors, warnings) == (True, [], [])
        with rasterio.open(path) as file:
            assert file.overviews(1)
    assert sorted(paths[0].parent.iterdir()) == sorted(paths)


def test_the_class_map_is_on_the_cubes_grid_with_colours_and_provenance(written):
    place, _, (path, _) = written
    with rasterio.open(path) as file:
        assert (file.count, file.height, file.width, file.dtypes[0]) == (1, place.height, place.width, "uint8")
        assert tuple(file.transform)[:6] == place.transform
        assert file.crs.to_epsg() == 32631
        assert file.nodata == NODATA
        assert {value: file.colormap(1)[value] for value in (0, 1)} == {value: COLOURS[value] for value in (0, 1)}
        assert (file.tags()["model"], file.tags()["threshold"]) == ("m", "0.4")
        assert file.colorinterp[0].name == "palette"


def test_every_position_fills_its_square_and_the_rest_is_nodata(written):
    place, probability, (classes, percent) = written
    rows, cols = place.positions(SIZE)
    expected = classify(probability, 0.4)
    for path, values in zip((classes, percent), expected, strict=True):
        with rasterio.open(path) as file:
            pixels = file.read(1)
        inside = pixels[: rows * SIZE, : cols * SIZE].reshape(rows, SIZE, cols, SIZE)
        assert (inside == values[:, None, :, None]).all()
        assert (pixels[rows * SIZE :] == NODATA).all()
        assert (pixels[:, cols * SIZE :] == NODATA).all()
    assert (expected[0][3, 4], expected[1][3, 4]) == (NODATA, NODATA)


@given(st.lists(st.one_of(st.floats(0, 1), st.just(float("nan"))), min_size=1), st.floats(0, 1))
@settings(max_examples=100)
def test_classes_follow_the_threshold(values, threshold):
    probability = np.array(values)
    classes, percent = classify(probability, threshold)
    assert np.array_equal(classes == 1, probability >= threshold)
    assert np.array_equal(classes == NODATA, np.isnan(probability))
    assert (percent[~np.isnan(probability)] <= 100).all()


def test_a_failed_write_leaves_the_old_map(tmp_path, monkeypatch):
    path, layer = tmp_path / "map.tif", Layer(np.zeros((2, 2), np.uint8), "test")
    write_map(path, grid(128, 128), SIZE, layer, {})
    before = path.read_bytes()
    monkeypatch.setattr("rasterio.shutil.copy", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_map(path, grid(128, 128), SIZE, layer, {"new": "tag"})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
