import re

import numpy as np
import pytest
import rasterio
from rasterio.transform import rowcol
from rasterio.warp import transform

from agri_assets.config import Collection
from agri_assets.errors import LabelError
from agri_assets.labels.land_cover import build_land_cover
from agri_assets.labels.worldcover import COLOURS
from agri_assets.scenes.catalog import build_catalog

TILE = "31TCJ"
STEP = 1 / 12000
"""WorldCover's pixel in degrees."""


def test_every_pixel_is_the_class_under_its_centre(collection, cover, paths, around, write_worldcover):
    source = write_worldcover(cover / "one.tif", around)
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


def test_the_output_is_on_the_tiles_grid_in_worldcover_colours(collection, cover, paths, around, write_worldcover):
    write_worldcover(cover / "one.tif", around, 40)
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


def test_two_files_make_one_tile_whatever_their_order(collection, cover, paths, around, write_worldcover):
    west, south, east, north = around
    middle = west + round((east - west) / 2 / STEP) * STEP
    write_worldcover(cover / "a.tif", (west, south, middle, north), 40)
    write_worldcover(cover / "b.tif", (middle, south, east, north), 10)
    write_worldcover(cover / "far.tif", (west + 30, south, west + 30.01, north), 80)
    outcome = build_land_cover(collection, paths, TILE)
    rows = {row["class"]: row["share"] for row in outcome.tables["classes"].rows}
    assert set(rows) == {"Cropland", "Tree cover"}
    assert rows["Cropland"] == pytest.approx(0.5, abs=0.02)
    assert outcome.metadata["not_covered"] == 0


def test_partial_cover_is_counted_and_told(collection, cover, paths, around, write_worldcover):
    west, south, east, north = around
    write_worldcover(cover / "a.tif", (west, south, (west + east) / 2, north), 40)
    outcome = build_land_cover(collection, paths, TILE)
    assert outcome.metadata["not_covered"] / outcome.metadata["pixels"] == pytest.approx(0.5, abs=0.02)
    assert "has no class" in outcome.warnings[0]


def test_a_second_run_does_nothing_and_a_new_file_does(collection, cover, paths, around, write_worldcover):
    source = write_worldcover(cover / "a.tif", around, 40)
    first = build_land_cover(collection, paths, TILE)
    assert build_land_cover(collection, paths, TILE).reused
    write_worldcover(source, around, 10)
    again = build_land_cover(collection, paths, TILE)
    assert not again.reused
    assert again.data_version != first.data_version


def test_nothing_over_the_tile_names_tile_and_folder(collection, cover, paths, around, write_worldcover):
    west, south, _, north = around
    write_worldcover(cover / "far.tif", (west + 30, south, west + 30.01, north), 80)
    with pytest.raises(LabelError, match=f"tile {TILE}.*{re.escape(str(cover))}"):
        build_land_cover(collection, paths, TILE)
    write_worldcover(cover / "empty.tif", around, 0)
    with pytest.raises(LabelError, match=f"tile {TILE}.*no class"):
        build_land_cover(collection, paths, TILE)
    assert not paths.land_cover(TILE).exists()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"classes": 41}, "41, which is no WorldCover class"),
        ({"classes": 40, "dtype": "uint16"}, "expected uint8 classes"),
        ({"classes": 40, "bands": 3}, "3 bands of uint8 in EPSG:4326, expected uint8 classes"),
        ({"classes": 40, "crs": "EPSG:4258"}, "EPSG:4258, expected"),
    ],
)
def test_files_that_are_no_worldcover_are_refused(collection, cover, paths, around, write_worldcover, change, match):
    write_worldcover(cover / "odd.tif", around, **change)
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
    outcome = build_land_cover(collection, paths, TILE)
    assert outcome.metadata["not_covered"] == 0
    assert outcome.metadata["files"] == next((samples / "land_cover").iterdir()).name
    assert 0 < outcome.metadata["agricultural_share"] < 1
