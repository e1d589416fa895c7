"""Six real products of two overlapping tiles: their pixels, their clouds, and the ground that both tiles hold."""

import json

import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401  (gives `.rio`)

from agri_assets.config import Collection
from agri_assets.cube.build import build_cube
from agri_assets.cube.open import cube_info, open_cube
from agri_assets.scenes.catalog import build_catalog, read_catalog
from agri_assets.scenes.inventory import read_inventory, take_inventory
from agri_assets.scenes.naming import tile_in
from agri_assets.store.commit import write_json
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome

BANDS = ("B02", "B03", "B04", "B08")
SOUTH, NORTH = "33TWL", "33TWM"
CLOUDS = (8, 9, 10)
"""The classes that `eo:cloud_cover` counts: medium and high probability, thin cirrus."""


@pytest.fixture(scope="module")
def real(shared_data, tmp_path_factory):
    """Both tiles in the cube, from the static catalogue."""
    root = tmp_path_factory.mktemp("real")
    settings = {
        "name": "real",
        "source": {"kind": "stac_catalog", "path": shared_data / "sentinel2_stac"},
        "bands": BANDS,
        "labels": {"kind": "worldcover", "path": str(root)},
    }
    collection, paths = Collection.model_validate(settings), CollectionPaths(root, "real")
    build_catalog(collection, paths)
    for item in read_catalog(paths):
        take_inventory(collection, paths, item.tile)
        fake_land_cover(paths, item)
        build_cube(collection, paths, item.tile)
    return paths


def fake_land_cover(paths, item):
    """Cropland everywhere: the real WorldCover file at hand covers another part of the world."""
    path = paths.land_cover(item.tile)
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "crs": item.grid.crs, "height": item.grid.height}
    transform = rasterio.Affine(*item.grid.transform)
    with rasterio.open(path, "w", width=item.grid.width, transform=transform, **profile) as dataset:
        dataset.write(np.full((item.grid.height, item.grid.width), 40, np.uint8), 1)
    outcome = Outcome(path=path, fingerprint="x", data_version="x", summary="x")
    write_json(paths.receipt("land_cover", item.tile), outcome.model_dump(mode="json"))


@pytest.mark.parametrize("tile", [SOUTH, NORTH])
def test_the_cube_holds_the_products_own_pixels(real, shared_data, tile):
    cube = open_cube(real.cube(tile))
    assert cube.sizes == {"time": 3, "band": 4, "y": 915, "x": 915}
    assert cube["reflectance"].rio.crs.to_epsg() == 32633
    for slot in cube_info(real.cube(tile)).active:
        folder = shared_data / "sentinel2_stac" / "sentinel-2-l2a" / slot.scene_id
        for band in ("B02", "B08"):
            with rasterio.open(folder / f"{band}.tif") as dataset:
                # the offset is already removed from these products, whatever their metadata says
                got = cube["reflectance"].sel(time=slot.date, band=band).values
                assert (got == dataset.read(1)).all()
                middle = dataset.xy(0, 0)
        assert middle == (float(cube.x[0]), float(cube.y[0]))


def test_clear_fractions_agree_with_the_items_cloud_cover(real, shared_data, capsys):
    rows = []
    for tile in (SOUTH, NORTH):
        cube = open_cube(real.cube(tile))
        for record in read_inventory(real, tile).present:
            classes = cube["scl"].sel(time=f"{record.acquired:%Y-%m-%d}").values
            seen = classes > 0
            rows.append((record.scene_id, 100 * np.isin(classes[seen], CLOUDS).mean(), record.cloud_cover))
    with capsys.disabled():
        print("\nscene                     cloud in the cube  eo:cloud_cover")
        for scene, found, stated in rows:
            print(f"{scene:<26}{found:>16.2f} %{stated:>14.2f} %")
    assert {tile_in(row[0]) for row in rows} == {SOUTH, NORTH}
    assert len(rows) == 6
    for scene, found, stated in rows:
        # decimation by twelve loses small clouds: the two measure the same scene at different resolutions
        assert found == pytest.approx(stated, abs=3.0), scene


def test_both_tiles_hold_the_same_ground_where_they_overlap(real, capsys):
    south, north = (open_cube(real.cube(tile))["reflectance"] for tile in (SOUTH, NORTH))
    rows = [
        (str(date)[:10], band, *compare(south.sel(time=date, band=band), north.sel(time=date, band=band)))
        for date in sorted(set(south.time.values) & set(north.time.values))
        for band in BANDS
    ]
    with capsys.disabled():
        print("\ndate        band  pixels  median difference  spread (MAD)  correlation  60 m off either way")
        for date, band, size, median, spread, matched, above, below in rows:
            print(f"{date}  {band:<5}{size:>7}{median:>19.1f}{spread:>14.1f}{matched:>13.3f}{above:>12.3f} {below:.3f}")
    assert len({row[0] for row in rows}) == 3
    for date, band, _, median, _, matched, above, below in rows:
        # two atmospheric corrections of one acquisition differ by some 0.01; a missed offset would be 0.1
        assert abs(median) < 100, (date, band)
        assert matched > max(above, below), (date, band)
        assert above == pytest.approx(below, abs=0.02), "equally alike half a pixel either way: neither tile is shifted"


def compare(south, north) -> tuple[int, float, float, float, float, float]:
    """Pixels, median difference and its spread, and correlations: in place, and half a pixel above and below it.

    At 120 m the two grids lie half a pixel apart along y: each southern row is between two northern ones.
    """
    top, bottom = float(south.y.max()), float(north.y.min())
    ours = south.sel(y=slice(top, bottom)).values.astype(float)
    rows = north.sel(y=slice(top + 120, bottom)).values.astype(float)
    count = min(len(ours), len(rows) - 1)
    ours, above, below = ours[:count], rows[:count], rows[1 : count + 1]
    valid = (ours > 0) & (above > 0) & (below > 0)
    ours, above, below = ours[valid], above[valid], below[valid]
    difference = ours - (above + below) / 2
    median = float(np.median(difference))
    alike = [float(np.corrcoef(ours, other)[0, 1]) for other in ((above + below) / 2, above, below)]
    return ours.size, median, float(np.median(np.abs(difference - median))), alike[0], alike[1], alike[2]


def test_every_item_states_what_was_decided(real, shared_data):
    for tile in (SOUTH, NORTH):
        for record in read_inventory(real, tile).present:
            item = json.loads(next((shared_data / "sentinel2_stac").rglob(f"{record.scene_id}.json")).read_text())
            assert item["properties"]["earthsearch:boa_offset_applied"] is True
            assert record.radiometry.offset == 0
            assert record.cloud_cover == item["properties"]["eo:cloud_cover"]
