"""Export, verify, and real products through the whole of the cube."""

from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401  (gives `.rio`)
from rio_cogeo.cogeo import cog_validate

from agri_assets.cli import export as export_command
from agri_assets.cli import verify as verify_command
from agri_assets.config import Collection
from agri_assets.cube.build import build_cube
from agri_assets.cube.export import export_cog
from agri_assets.cube.manifest import manifest_path
from agri_assets.cube.open import cube_info, open_cube, open_reflectance, read_block
from agri_assets.cube.shards import shard_file
from agri_assets.cube.verify import verify_cube
from agri_assets.errors import CubeError
from agri_assets.scenes.catalog import build_catalog, read_catalog
from agri_assets.scenes.inventory import take_inventory
from agri_assets.store.commit import write_json
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome

TILE = "33TWL"


@pytest.fixture
def built(site):
    site.inventory(site.scene("2023-08-10", seed=1), site.scene("2023-08-15", seed=2))
    build_cube(site.collection, site.paths, TILE)
    return site.paths.cube(TILE)


def test_an_exported_date_is_a_valid_cog_with_the_same_pixels(built, tmp_path):
    out = tmp_path / "deep" / "out.tif"
    assert export_command.run(SimpleNamespace(tile=str(built), date="2023-08-15", out=out, collection=None)) == 0
    valid, errors, _ = cog_validate(out)
    assert valid, errors
    with rasterio.open(out) as dataset:
        assert (dataset.read() == read_block(open_reflectance(built), 1, 0, 0, (1092, 1080))).all()
        assert (dataset.crs.to_epsg(), dataset.nodata, dataset.dtypes[0]) == (32633, 0, "uint16")
        assert dataset.descriptions == ("B02", "B08", "B11")
        assert dataset.scales == (0.0001,) * 3
        assert tuple(dataset.transform)[:6] == cube_info(built).grid.transform
    assert [path.name for path in out.parent.iterdir()] == ["out.tif"]


def test_a_date_that_is_not_there_is_named_with_those_that_are(built, tmp_path):
    with pytest.raises(CubeError, match="no date 2023-01-01; it holds 2023-08-10, 2023-08-15"):
        export_cog(built, "2023-01-01", tmp_path / "out.tif")


def break_flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def break_truncate(path):
    path.write_bytes(path.read_bytes()[:-10])


@pytest.mark.parametrize(
    ("harm", "words"),
    [(break_flip, "damaged"), (break_truncate, "bytes instead of"), (lambda path: path.unlink(), "is missing")],
)
@pytest.mark.parametrize("array", ["reflectance", "scl"])
def test_damage_is_found_and_placed(built, harm, words, array, capsys):
    info = cube_info(built)
    assert verify_cube(built) == []
    harm(shard_file(built, info, array, 1, 1024, 0))
    (problem,) = verify_cube(built)
    assert words in problem
    assert f"{array} at y=1024, x=0" in problem
    assert "2023-08-15" in problem
    with pytest.raises(CubeError, match="1 problem"):
        verify_command.run(SimpleNamespace(tile=str(built), collection=None))
    assert problem in capsys.readouterr().out


def test_a_lost_manifest_is_found(built):
    manifest_path(built, 0).unlink()
    (problem,) = verify_cube(built)
    assert "slot 0 (2023-08-10): its manifest cannot be read" in problem


def test_six_real_products_become_two_cubes(shared_data, tmp_path):
    settings = {
        "name": "real",
        "source": {"kind": "stac_catalog", "path": shared_data / "sentinel2_stac"},
        "bands": ["B02", "B03", "B04", "B08"],
        "labels": {"kind": "worldcover", "path": tmp_path},
    }
    collection, paths = Collection.model_validate(settings), CollectionPaths(tmp_path, "real")
    build_catalog(collection, paths)
    tiles = read_catalog(paths)
    assert [item.tile for item in tiles] == ["33TWL", "33TWM"]
    for item in tiles:
        take_inventory(collection, paths, item.tile)
        fake_land_cover(paths, item)
        build_cube(collection, paths, item.tile)
        check_against_source(shared_data, paths, item)


def fake_land_cover(paths, item):
    path = paths.land_cover(item.tile)
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "crs": item.grid.crs, "height": item.grid.height}
    transform = rasterio.Affine(*item.grid.transform)
    with rasterio.open(path, "w", width=item.grid.width, transform=transform, **profile) as dataset:
        dataset.write(np.full((item.grid.height, item.grid.width), 40, np.uint8), 1)
    outcome = Outcome(path=path, fingerprint="x", data_version="x", summary="x")
    write_json(paths.receipt("land_cover", item.tile), outcome.model_dump(mode="json"))


def check_against_source(shared_data, paths, item):
    cube = open_cube(paths.cube(item.tile))
    assert cube.sizes == {"time": 3, "band": 4, "y": 915, "x": 915}
    assert cube["reflectance"].rio.crs.to_epsg() == 32633
    for slot in cube_info(paths.cube(item.tile)).active:
        folder = shared_data / "sentinel2_stac" / "sentinel-2-l2a" / slot.scene_id
        for band in ("B02", "B08"):
            with rasterio.open(folder / f"{band}.tif") as dataset:
                # the offset is already removed from these products, whatever their metadata says
                got = cube["reflectance"].sel(time=slot.date, band=band).values
                assert (got == dataset.read(1)).all()
                middle = dataset.xy(0, 0)
        assert middle == (float(cube.x[0]), float(cube.y[0]))


def test_export_never_replaces_a_folder_and_never_writes_a_lost_shard_as_zeros(built, tmp_path):
    (tmp_path / "maps").mkdir()
    with pytest.raises(CubeError, match="maps is a folder"):
        export_cog(built, "2023-08-15", tmp_path / "maps")
    shard_file(built, cube_info(built), "reflectance", 1, 0, 0).unlink()
    with pytest.raises(CubeError, match="reflectance at y=0, x=0 is missing"):
        export_cog(built, "2023-08-15", tmp_path / "out.tif")
    assert not (tmp_path / "out.tif").exists()
