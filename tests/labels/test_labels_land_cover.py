import re

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine, rowcol
from rasterio.warp import transform, transform_bounds

from agri_assets.config import Collection
from agri_assets.errors import LabelError
from agri_assets.labels.land_cover import build_land_cover
from agri_assets.labels.sources import files_over, land_cover_files
from agri_assets.labels.worldcover import CLASSES, COLOURS
from agri_assets.samples.writer import write_samples
from agri_assets.scenes.catalog import build_catalog
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.tile_grid import nominal_grid
from agri_assets.store.layout import CollectionPaths

TILE = "31TCJ"
STEP = 1 / 12000
"""WorldCover's pixel in degrees."""


@pytest.fixture(scope="session")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    write_samples(folder, [TILE], dates=1, size=384, cloudy_dates=0)
    return folder


@pytest.fixture
def paths(tmp_path):
    return CollectionPaths(tmp_path / "data", "fields")


@pytest.fixture
def cover(tmp_path):
    folder = tmp_path / "worldcover"
    folder.mkdir()
    return folder


@pytest.fixture
def collection(samples, cover, paths):
    """A catalogued collection of one small tile, with land cover in a folder that tests fill."""
    found = Collection.model_validate(
        {
            "name": "fields",
            "source": {"kind": "safe", "path": str(samples)},
            "bands": ["B02"],
            "labels": {"kind": "worldcover", "path": str(cover)},
        }
    )
    build_catalog(found, paths)
    return found


def _write(path, bounds, classes=None, crs="EPSG:4326", dtype="uint8", seed=0):
    west, south, east, north = bounds
    height, width = round((north - south) / STEP), round((east - west) / STEP)
    if classes is None:
        codes = np.array([entry.code for entry in CLASSES])
        classes = np.random.default_rng(seed).choice(codes, (height, width))
    classes = np.broadcast_to(np.asarray(classes, dtype), (height, width))
    place = Affine(STEP, 0, west, 0, -STEP, north)
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=1, dtype=dtype, crs=crs, transform=place
    ) as out:
        out.write(classes, 1)
    return path


def _around(paths, margin=0.01):
    from agri_assets.scenes.catalog import catalog_tile

    grid = catalog_tile(paths, TILE).grid
    west, south, east, north = transform_bounds(grid.crs, "EPSG:4326", *grid.bounds)
    return west - margin, south - margin, east + margin, north + margin


def test_every_pixel_is_the_class_under_its_centre(collection, cover, paths):
    source = _write(cover / "one.tif", _around(paths))
    outcome = build_land_cover(collection, paths, TILE)
    with rasterio.open(outcome.path) as found, rasterio.open(source) as truth:
        classes, known = found.read(1), truth.read(1)
        rows, cols = np.indices(classes.shape)
        xs, ys = found.transform @ (cols.ravel() + 0.5, rows.ravel() + 0.5)
        lons, lats = transform(found.crs, truth.crs, xs, ys)
        source_rows, source_cols = rowcol(truth.transform, lons, lats)
        expected = known[np.asarray(source_rows), np.asarray(source_cols)].reshape(classes.shape)
    # GDAL's warper interpolates positions to an eighth of a pixel, which may move a centre across an edge
    assert (classes == expected).mean() > 0.75
    inner = _inner(truth.transform, lons, lats).reshape(classes.shape)
    assert (classes == expected)[inner].all()


def _inner(place, lons, lats, margin=0.26):
    cols, rows = ~place @ (np.asarray(lons), np.asarray(lats))
    return (np.abs(cols % 1 - 0.5) < 0.5 - margin) & (np.abs(rows % 1 - 0.5) < 0.5 - margin)


def test_the_output_is_on_the_tiles_grid_in_worldcover_colours(collection, cover, paths):
    _write(cover / "one.tif", _around(paths), 40)
    outcome = build_land_cover(collection, paths, TILE)
    with rasterio.open(outcome.path) as found:
        assert (found.shape, found.dtypes, found.nodata) == ((384, 384), ("uint8",), 0)
        assert found.crs.to_string() == "EPSG:32631"
        assert found.block_shapes == [(512, 512)]
        assert found.colormap(1)[40][:3] == COLOURS[40]
    assert outcome.metadata["agricultural_share"] == 1
    assert outcome.metadata["not_covered"] == 0
    assert outcome.pictures["land cover"].stat().st_size < 80_000
    assert [row["class"] for row in outcome.tables["classes"].rows] == ["Cropland"]


def test_two_files_make_one_tile_whatever_their_order(collection, cover, paths):
    west, south, east, north = _around(paths)
    middle = west + round((east - west) / 2 / STEP) * STEP
    _write(cover / "a.tif", (west, south, middle, north), 40)
    _write(cover / "b.tif", (middle, south, east, north), 10)
    _write(cover / "far.tif", (west + 30, south, west + 30.01, north), 80)
    outcome = build_land_cover(collection, paths, TILE)
    rows = {row["class"]: row["share"] for row in outcome.tables["classes"].rows}
    assert set(rows) == {"Cropland", "Tree cover"}
    assert rows["Cropland"] == pytest.approx(0.5, abs=0.02)
    assert outcome.metadata["not_covered"] == 0


def test_partial_cover_is_counted_and_told(collection, cover, paths):
    west, south, east, north = _around(paths)
    _write(cover / "a.tif", (west, south, (west + east) / 2, north), 40)
    outcome = build_land_cover(collection, paths, TILE)
    assert outcome.metadata["not_covered"] / outcome.metadata["pixels"] == pytest.approx(0.5, abs=0.02)
    assert "no land cover" in outcome.warnings[0]


def test_a_second_run_does_nothing_and_a_new_file_does(collection, cover, paths):
    source = _write(cover / "a.tif", _around(paths), 40)
    first = build_land_cover(collection, paths, TILE)
    assert build_land_cover(collection, paths, TILE).reused
    _write(source, _around(paths), 10)
    again = build_land_cover(collection, paths, TILE)
    assert not again.reused
    assert again.data_version != first.data_version


def test_nothing_over_the_tile_names_tile_and_folder(collection, cover, paths):
    west, south, _, north = _around(paths)
    _write(cover / "far.tif", (west + 30, south, west + 30.01, north), 80)
    with pytest.raises(LabelError, match=f"tile {TILE}.*{re.escape(str(cover))}"):
        build_land_cover(collection, paths, TILE)
    _write(cover / "empty.tif", _around(paths), 0)
    with pytest.raises(LabelError, match=f"tile {TILE}.*no class"):
        build_land_cover(collection, paths, TILE)
    assert not paths.land_cover(TILE).exists()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"classes": 41}, "41, which is no WorldCover class"),
        ({"classes": 40, "dtype": "uint16"}, "expected uint8 classes"),
        ({"classes": 40, "crs": "EPSG:4258"}, "EPSG:4258, expected"),
    ],
)
def test_files_that_are_no_worldcover_are_refused(collection, cover, paths, change, match):
    _write(cover / "odd.tif", _around(paths), **change)
    with pytest.raises(LabelError, match=match):
        build_land_cover(collection, paths, TILE)


def test_unreadable_and_absent_files_are_refused(collection, cover, paths):
    with pytest.raises(LabelError, match="no WorldCover GeoTIFF"):
        build_land_cover(collection, paths, TILE)
    (cover / "broken.tif").write_bytes(b"II*\0 and no more")
    with pytest.raises(LabelError, match=r"broken\.tif: cannot be opened"):
        build_land_cover(collection, paths, TILE)


def test_sample_scenes_bring_their_own(samples, paths):
    collection = Collection.model_validate(
        {
            "name": "fields",
            "source": {
                "kind": "sample",
                "tiles": [TILE],
                "dates": 1,
                "cloudy_dates": 0,
                "size": 384,
                "path": str(samples),
            },
            "bands": ["B02"],
            "labels": {"kind": "worldcover"},
        }
    )
    build_catalog(collection, paths)
    assert all(path.parent == samples / "land_cover" for path in land_cover_files(collection, paths))
    outcome = build_land_cover(collection, paths, TILE)
    assert outcome.metadata["not_covered"] == 0
    assert 0 < outcome.metadata["agricultural_share"] < 1


def test_the_antimeridian_is_no_gap(tmp_path):
    grid = nominal_grid("01KAB", 100.0)
    east = _write(tmp_path / "east.tif", (179.5, -17.0, 179.6, -16.9), 40)
    west = _write(tmp_path / "west.tif", (-179.9, -17.0, -179.8, -16.9), 40)
    far = _write(tmp_path / "far.tif", (0.0, -17.0, 0.1, -16.9), 40)
    assert files_over([east, far, west], grid) == (east, west)


def test_the_real_file_is_read_by_window(shared_data, tmp_path):
    from agri_assets.labels.land_cover import _write as write_cover

    file = next((shared_data / "worldcover").glob("*.tif"))
    # a kilometre or two of São Tomé
    grid = TileGrid(crs="EPSG:32632", transform=(10, 0, 232000, 0, -10, 24000), height=256, width=256)
    assert files_over([file], grid) == (file,)
    _, counts = write_cover(tmp_path / "cover.tif", grid, (file,), "test")
    assert counts.sum() == 256 * 256
    assert counts[10] > 0
    assert counts[0] < counts.sum()
