"""One mosaic shows all mapped tiles, those of other zones in their right places."""

import shutil

import numpy as np
import pytest
import rasterio
from rasterio.warp import transform

from agri_assets.maps.land_map import build_map
from agri_assets.maps.raster import AGRICULTURAL, COLOURS, NODATA, OTHER, Layer, write_map
from agri_assets.maps.vrt import mosaic_files
from agri_assets.scenes.grid import TileGrid


def grid(zone, left, top, pixels=640):
    return TileGrid(crs=f"EPSG:326{zone}", transform=(10, 0, left, 0, -10, top), height=pixels, width=pixels)


def written(folder, grids, values):
    for tile, place in grids.items():
        write_map(folder / f"{tile}.tif", place, 64, Layer(values[tile], "class", COLOURS), {})
    for name, text in mosaic_files(grids, COLOURS).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder / "mosaic.vrt"


def test_tiles_of_one_zone_stand_side_by_side_and_the_first_is_on_top(tmp_path):
    grids = {"A": grid(31, 300_000, 4_900_020), "B": grid(31, 305_120, 4_900_020)}
    values = {"A": np.full((10, 10), OTHER, np.uint8), "B": np.full((10, 10), AGRICULTURAL, np.uint8)}
    values["A"][0, 9] = NODATA
    with rasterio.open(written(tmp_path, grids, values)) as file:
        pixels = file.read(1)
        assert (file.width, file.height, file.crs.to_epsg()) == (1152, 640, 32631)
        assert (file.transform.c, file.transform.f) == (300_000, 4_900_020)
        assert file.nodata == NODATA
        assert file.colormap(1)[AGRICULTURAL] == COLOURS[AGRICULTURAL]
    assert (pixels[64:, :640] == OTHER).all()
    assert (pixels[:64, 576:640] == AGRICULTURAL).all(), "what one tile does not know, the other tells"
    assert (pixels[:, 640:] == AGRICULTURAL).all()
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    with rasterio.open(moved / "mosaic.vrt") as file:
        assert np.array_equal(file.read(1), pixels)
    moved.rename(tmp_path)


def test_a_tile_of_another_zone_is_warped_into_its_place(tmp_path):
    # at the border of zones 31 and 32, 6 degrees east
    grids = {"A": grid(31, 735_000, 4_900_020), "B": grid(31, 728_600, 4_900_020), "C": grid(32, 262_000, 4_902_000)}
    random = np.random.default_rng(0)
    values = {tile: random.integers(0, 2, (10, 10), dtype=np.uint8) for tile in grids}
    path = written(tmp_path, grids, values)
    x, y = 262_000 + 640 * np.arange(10) + 320, 4_902_000 - 640 * np.arange(10) - 320
    centres = [axis.ravel() for axis in np.meshgrid(x, y)]
    with rasterio.open(path) as file:
        assert file.crs.to_epsg() == 32631
        places = transform("EPSG:32632", "EPSG:32631", *centres)
        found = np.array([value[0] for value in file.sample(zip(*places, strict=True))]).reshape(10, 10)
        left, _, right, _ = file.bounds
        assert left == 728_600
        assert max(places[0]) < right
    apart = np.array(places[0]).reshape(10, 10) > 735_000 + 6_400
    assert apart.any()
    assert np.array_equal(found[apart], values["C"][apart])


def test_each_map_refreshes_the_mosaics(study):
    build_map(study.collection, study.paths, "31TCJ")
    folder = study.paths.map("31TCJ").parent
    with rasterio.open(folder / "mosaic.vrt") as file:
        assert file.width == 1536
    build_map(study.collection, study.paths, "31TDJ")
    for name, tile in (("", "31TDJ"), ("probability/", "31TDJ")):
        with rasterio.open(folder / f"{name}mosaic.vrt") as whole, rasterio.open(folder / f"{name}{tile}.tif") as one:
            assert whole.width == 2508
            assert np.array_equal(whole.read(1)[:, 1536:], one.read(1)[:, 564:])
    (folder / "mosaic.vrt").unlink()
    assert build_map(study.collection, study.paths, "31TDJ").reused
    assert (folder / "mosaic.vrt").exists()


def test_a_mapped_tile_whose_cube_is_gone_stays_in_the_mosaics(study):
    build_map(study.collection, study.paths, "31TCJ")
    shutil.rmtree(study.paths.cube("31TCJ"))
    build_map(study.collection, study.paths, "31TDJ")
    folder = study.paths.map("31TCJ").parent
    with rasterio.open(folder / "mosaic.vrt") as whole, rasterio.open(folder / "31TCJ.tif") as one:
        assert whole.width == 2508
        mapped = one.read(1) != NODATA
        assert mapped.mean() > 0.5
        assert np.array_equal(whole.read(1)[:, :1536][mapped], one.read(1)[mapped])


def test_a_map_that_cannot_be_read_is_left_out_and_does_not_stop_the_others(study, caplog):
    build_map(study.collection, study.paths, "31TCJ")
    study.paths.map("31TCJ").write_bytes(b"no map")
    build_map(study.collection, study.paths, "31TDJ")
    with rasterio.open(study.paths.map("31TCJ").with_name("mosaic.vrt")) as whole:
        assert whole.width == 1536
    assert f"{study.paths.map('31TCJ')}: left out of the mosaic" in caplog.text


def test_without_tiles_there_is_no_mosaic():
    assert mosaic_files({}, COLOURS) == {}


@pytest.mark.parametrize("colours", [COLOURS, {}])
def test_a_mosaic_says_the_same_each_time(colours):
    grids = {"A": grid(31, 300_000, 4_900_020), "B": grid(32, 305_120, 4_900_020)}
    assert mosaic_files(grids, colours) == mosaic_files(grids, colours)
