"""Grids: where a raster may lie on a tile's, where tiles lie on the Earth, and which scene's grid a tile gets."""

import math

import mgrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pyproj import Transformer

from agri_assets.errors import SceneError
from agri_assets.samples.writer import write_samples
from agri_assets.scenes import catalog
from agri_assets.scenes.catalog import build_catalog, catalog_tile
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.narrow import narrow
from agri_assets.scenes.source import open_source
from agri_assets.scenes.tile_grid import SNAP_M, SQUARE_M, nominal_grid
from agri_assets.scenes.verify import verify_scene

GRID = TileGrid(crs="EPSG:32633", transform=(10.0, 0.0, 499980.0, 0.0, -10.0, 5100000.0), height=1092, width=1081)

CONVERTER = mgrs.MGRS()


def bounds(row: float, col: float, height: float, width: float) -> tuple[float, float, float, float]:
    """Of a raster whose corner and size are given in pixels of the grid."""
    left, top = 499980.0 + col * 10, 5100000.0 - row * 10
    return left, top - height * 10, left + width * 10, top


@given(st.integers(0, 1091), st.integers(0, 1080), st.data())
def test_every_part_of_a_grid_has_its_place(row, col, data):
    height, width = data.draw(st.integers(1, 1092 - row)), data.draw(st.integers(1, 1081 - col))
    assert GRID.place(bounds(row, col, height, width), 10.0) == (row, col)


@given(st.sampled_from([10, 20, 60]), st.integers(-8, 8), st.integers(-8, 8), st.integers(-8, 8), st.integers(-8, 8))
def test_a_raster_may_reach_beyond_by_less_than_a_pixel_of_its_own(pixel, top, left, bottom, right):
    found = GRID.place(bounds(-top, -left, 1092 + top + bottom, 1081 + left + right), float(pixel))
    assert found == ((-top, -left) if max(top, left, bottom, right) < pixel / 10 else None)


@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_a_raster_off_the_pixel_corners_has_no_place(down, right):
    assume(abs(abs(down) - 0.01) > 1e-6 and abs(abs(right) - 0.01) > 1e-6)
    on_corner = abs(down) < 0.01 and abs(right) < 0.01
    assert GRID.place(bounds(40 + down, 50 + right, 100, 100), 10.0) == ((40, 50) if on_corner else None)


def test_a_raster_elsewhere_has_no_place():
    for row, col in ((1092, 0), (0, 1081), (-100, 0), (0, -100), (5000, 5000)):
        assert GRID.place(bounds(row, col, 100, 100), 10.0) is None


def of_place(latitude: float, longitude: float) -> str:
    return str(CONVERTER.toMGRS(latitude, longitude, MGRSPrecision=0))


def stands(tile: str, latitude: float, longitude: float) -> bool:
    """Whether the tile's nominal grid has the place in its own 100 km square."""
    grid = nominal_grid(tile, 10.0)
    x, y = Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True).transform(longitude, latitude)
    left, _, _, top = grid.bounds
    # the mgrs package and PROJ differ by less than a metre
    return -1 <= x - left <= SQUARE_M + SNAP_M + 1 and -1 <= top - y <= SQUARE_M + SNAP_M + 1


@given(st.floats(-79.99, 83.99), st.floats(-179.999, 179.999))
def test_a_tile_lies_where_its_name_says(latitude, longitude):
    assert stands(of_place(latitude, longitude), latitude, longitude)


@pytest.mark.parametrize("zone", range(1, 61))
def test_every_square_along_a_zone_has_its_name_at_its_centre(zone):
    seen = set()
    for degree in range(-80, 84):
        tile = of_place(degree + 0.5, zone * 6 - 184)
        grid = nominal_grid(tile, 10.0)
        left, _, _, top = grid.bounds
        to_degrees = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
        lon, lat = to_degrees.transform(left + SQUARE_M / 2 + SNAP_M / 2, top - SQUARE_M / 2 - SNAP_M / 2)
        name = of_place(lat, lon)
        # a square on the edge of a latitude band or of a zone's exception has a second name there
        if name[:3] == tile[:3] and int(tile[:2]) == zone:
            assert name == tile
            seen.add(tile[2])
    # 32X, 34X and 36X do not exist: their ground belongs to the zones beside them
    missing = {"X"} if zone in (32, 34, 36) else set()
    assert seen == set("CDEFGHJKLMNPQRSTUVWX") - missing


@pytest.mark.parametrize(
    ("latitude", "longitude", "zone"),
    [(60.5, 3.5, 32), (60.5, 2.5, 31), (78, 8, 31), (78, 10, 33), (78, 20, 33), (78, 22, 35), (78, 34, 37)],
)
def test_zones_around_norway_and_svalbard(latitude, longitude, zone):
    tile = of_place(latitude, longitude)
    assert int(tile[:2]) == zone
    assert stands(tile, latitude, longitude)
    assert nominal_grid(tile, 20.0).crs == f"EPSG:{32600 + zone}"


@pytest.mark.parametrize(
    "name", ["", "TWL", "33", "33TWLX", "00TWL", "61TWL", "33IWL", "33TAL", "33TWW", "xxTWL", "٣TWL"]
)
def test_what_is_no_name_has_no_grid(name):
    with pytest.raises(SceneError, match="not an MGRS tile"):
        nominal_grid(name, 10.0)


def cropped(record, size: int):
    return record.model_copy(update={"shape": (size, size)})


def catalogued(collection, paths, monkeypatch, sizes: list[int | None]) -> TileGrid:
    """The grid of a tile whose scenes have these sizes, in order of name; None is one that cannot be read."""
    source = open_source(collection, paths)
    refs = source.scenes("31TCJ")
    record = source.read(refs[0])
    by_name = {f"{number:02d}": size for number, size in enumerate(sizes)}

    class Scenes:
        tiles, prepare, strays = lambda _: ("31TCJ",), lambda _: None, lambda _: ()

        def scenes(self, tile):
            return [type(refs[0])(name, refs[0].location, tile) for name in by_name]

        def read(self, ref):
            if by_name[ref.name] is None:
                raise SceneError(f"{ref.name}: broken")
            return cropped(record, by_name[ref.name])

    monkeypatch.setattr(catalog, "open_source", lambda *_: Scenes())
    build_catalog(collection, paths)
    return catalog_tile(paths, "31TCJ").grid


@pytest.mark.parametrize("sizes", [[96, None, 384, 200], [384, 96], [None, 384], [96, 10980, None]])
def test_a_tile_gets_the_grid_of_its_largest_readable_scene(collection, paths, monkeypatch, sizes):
    grid = catalogued(collection, paths, monkeypatch, sizes)
    largest = max(size for size in sizes if size)
    assert (grid.height, grid.width) == (largest, largest)


@pytest.mark.parametrize("built", [True, False])
def test_a_known_tile_keeps_its_grid_once_it_has_a_cube(collection, paths, monkeypatch, built):
    catalogued(collection, paths, monkeypatch, [96])
    monkeypatch.undo()
    if built:
        paths.cube("31TCJ").mkdir(parents=True)
        (paths.cube("31TCJ") / "zarr.json").write_text("{}")
    assert catalogued(collection, paths, monkeypatch, [None, 96, 384]).height == (96 if built else 384)
    monkeypatch.undo()
    assert catalogued(collection, paths, monkeypatch, [None]).height == (96 if built else 384)


def test_a_scene_that_covers_more_than_the_catalogued_ones_is_told_what_to_do(collection, paths):
    source = open_source(collection, paths)
    record = source.read(source.scenes("31TCJ")[0])
    with pytest.raises(SceneError, match=r"materialise tile_catalog.*delete cube/31TCJ\.zarr and tiles/31TCJ\.parquet"):
        verify_scene(record, TileGrid.of(cropped(record, 96)))


@pytest.mark.parametrize("size", [96, 384, 386, 400, 1010])
def test_coarse_bands_alone_are_on_the_grid_that_their_rasters_have(collection, paths, inbox, size):
    source = open_source(collection, paths)
    record = cropped(source.read(source.scenes("31TCJ")[0]), size)
    for band, pixel in (("B05", 20), ("B01", 60)):
        grid = TileGrid.of(narrow(record, (band,)))
        assert (grid.resolution, grid.height) == (pixel, math.ceil(size * 10 / pixel))


def test_sample_scenes_on_the_antimeridian_are_catalogued(make_collection, paths, tmp_path):
    write_samples(tmp_path / "edge", ["01KAB"], dates=1, size=96, cloudy_dates=0, damaged=0)
    build_catalog(make_collection({"kind": "safe", "path": str(tmp_path / "edge")}), paths)
    assert catalog_tile(paths, "01KAB").grid.crs == "EPSG:32701"
