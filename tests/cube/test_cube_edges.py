"""Tiles at the edges of the map, across the antimeridian and far north: their ground, and a stack into its cube."""

import json
from pathlib import Path

import geopandas as gpd
import h3
import mgrs
import numpy as np
import pyarrow as pa
import pytest
import rasterio
import shapely
from pyproj import Geod, Transformer

from agri_assets.config import Collection
from agri_assets.cube.build import build_cube
from agri_assets.cube.open import open_reflectance, read_block
from agri_assets.cube.positions import Ground, ground
from agri_assets.scenes.catalog import build_catalog, catalog_tile
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.inventory import take_inventory
from agri_assets.scenes.tile_grid import nominal_grid
from agri_assets.splits.ground import Cover, LocalPlane
from agri_assets.store.commit import write_json
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome

ACROSS = ["01KAB", "60KZG", "01TBH", "60GYA", "01WCP", "60XWP", "01XDJ", "60CWT"]
EDGE = 64 * 20
"""Edge of a position in metres: pixels of 20 m, to have a quarter of the positions."""


def placed(tile: str) -> tuple[TileGrid, Ground]:
    grid = nominal_grid(tile, 20.0)
    return grid, ground(grid, 64, 6)


def crossing(place: Ground) -> np.ndarray:
    return np.array([shape.geom_type == "MultiPolygon" for shape in place.geometry])


@pytest.mark.parametrize("tile", [*ACROSS, "33XWJ", "33TWL"])
def test_outlines_lie_within_the_world_and_keep_their_area(tile):
    _, place = placed(tile)
    box = shapely.bounds(place.geometry)
    assert shapely.is_valid(place.geometry).all()
    assert ((box[:, 0] >= -180) & (box[:, 2] <= 180)).all()
    assert crossing(place).any() == (tile in ACROSS)
    geodesic = Geod(ellps="WGS84")
    some = [*np.flatnonzero(crossing(place))[::10], *range(0, len(place.cell), 997)]
    for number in some:
        parts = shapely.get_parts(place.geometry[number])
        area = sum(abs(geodesic.geometry_area_perimeter(part)[0]) for part in parts)
        # UTM's scale is 0.9996 in the middle of a zone and up to 1.002 beyond its edge, and squared in areas
        assert area == pytest.approx(EDGE**2, rel=4e-3)


@pytest.mark.parametrize("tile", ACROSS)
def test_a_cut_outline_has_one_part_on_each_side_and_the_cell_and_owner_of_its_centre(tile):
    grid, place = placed(tile)
    rows, cols = grid.positions(64)
    to_degrees = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    cut = np.flatnonzero(crossing(place))
    for number in cut[::5]:
        west, east = sorted(place.geometry[number].geoms, key=lambda part: part.bounds[0], reverse=True)
        assert west.bounds[2] == 180
        assert east.bounds[0] == -180
        left, bottom, right, top = grid.position_bounds(*divmod(int(number), cols), 64)
        longitude, latitude = to_degrees.transform((left + right) / 2, (bottom + top) / 2)
        assert shapely.intersects_xy(place.geometry[number], longitude, latitude)
        assert place.cell[number] == h3.latlng_to_cell(latitude, longitude, 6)
        assert place.owner[number] == mgrs.MGRS().toMGRS(latitude, longitude, MGRSPrecision=0)
    zones = {owner[:2] for owner in place.owner}
    assert zones >= {"01", "60"}
    assert len(place.cell) == rows * cols


@pytest.mark.parametrize("tile", ["01TBH", "60XWP", "33XWJ"])
def test_the_proofs_plane_takes_cut_outlines_for_what_they_are(tile):
    grid, place = placed(tile)
    cut = place.geometry[crossing(place)]
    for shapes in (place.geometry, cut) if len(cut) else (place.geometry,):
        plane = LocalPlane.around(shapes)
        areas = shapely.area(plane.project(place.geometry))
        assert areas == pytest.approx(np.full(len(areas), EDGE**2), rel=2e-3)
    row, col = (axis.ravel().astype(np.int32) for axis in np.indices(grid.positions(64)))
    cover = Cover.of([pa.record_batch({"row": row, "col": col, "geometry": shapely.to_wkb(place.geometry)})])
    assert cover.radius_m < 80_000


@pytest.fixture
def stack(tmp_path) -> Path:
    """A stack of 384 px across the antimeridian, on its tile's grid: 10 m and 20 m."""
    folder, tile = tmp_path / "stacks", nominal_grid("01TBH", 10.0)
    folder.mkdir()
    for name, pixel, size, dtype in (("B02", 10, 384, "uint16"), ("B11", 20, 192, "uint16"), ("SCL", 20, 192, "uint8")):
        corner = tile.transform[2] + 5280 * 10, tile.transform[5] - 5280 * 10
        profile = {"driver": "GTiff", "count": 1, "dtype": dtype, "crs": tile.crs, "height": size, "width": size}
        pixels = np.random.default_rng(pixel).integers(1, 12, (size, size)).astype(dtype)
        transform = rasterio.Affine(pixel, 0, corner[0], 0, -pixel, corner[1])
        with rasterio.open(folder / f"{name}.tif", "w", transform=transform, **profile) as target:
            target.write(pixels, 1)
    said = {
        **{"sidecar": 1, "tile": "1TBH", "acquired": "2023-08-15T10:00:31Z", "platform": "S2A", "level": "L2A"},
        **{"quantification": 10000, "offset": 0, "bands": {"B02": {"file": "B02.tif"}, "B11": {"file": "B11.tif"}}},
        "classification": {"file": "SCL.tif"},
    }
    (folder / "one.scene.json").write_text(json.dumps(said))
    return folder


def covered(paths: CollectionPaths, grid: TileGrid) -> None:
    """Land cover of cropland, made by nobody."""
    path = paths.land_cover("01TBH")
    path.parent.mkdir(parents=True)
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "height": grid.height, "width": grid.width, "nodata": 0}
    with rasterio.open(path, "w", crs=grid.crs, transform=rasterio.Affine(*grid.transform), **profile) as target:
        target.write(np.full((1, grid.height, grid.width), 40, np.uint8))
    outcome = Outcome(path=path, fingerprint="1", data_version="1", summary="a test")
    write_json(paths.receipt("land_cover", "01TBH"), outcome.model_dump(mode="json"))


def test_a_scene_across_the_antimeridian_goes_into_its_cube(stack, tmp_path):
    collection = Collection.model_validate(
        {
            **{"name": "edge", "source": {"kind": "geotiff", "path": str(stack)}, "bands": ["B02", "B11"]},
            "labels": {"kind": "worldcover", "path": str(tmp_path)},
        }
    )
    paths = CollectionPaths(tmp_path / "data", "edge")
    build_catalog(collection, paths)
    grid = catalog_tile(paths, "01TBH").grid
    assert (grid.height, grid.width) == (384, 384)
    take_inventory(collection, paths, "01TBH")
    covered(paths, grid)
    build_cube(collection, paths, "01TBH")
    found = read_block(open_reflectance(paths.cube("01TBH")), 0, 0, 0, (384, 384))
    with rasterio.open(stack / "B02.tif") as fine, rasterio.open(stack / "B11.tif") as coarse:
        np.testing.assert_array_equal(found[0], fine.read(1))
        np.testing.assert_array_equal(found[1], coarse.read(1).repeat(2, 0).repeat(2, 1))
    index = gpd.read_parquet(paths.tiles("01TBH"))
    assert set(index.geometry.geom_type) == {"Polygon", "MultiPolygon"}
    assert {owner[:2] for owner in index["owner"]} == {"01", "60"}
    assert (index["valid_fraction"] == 1).all()
