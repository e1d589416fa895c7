"""Export and verify."""

from types import SimpleNamespace

import pytest
import rasterio
from rio_cogeo.cogeo import cog_validate

from agri_assets.cli import export as export_command
from agri_assets.cli import verify as verify_command
from agri_assets.cube.build import build_cube
from agri_assets.cube.export import export_cog
from agri_assets.cube.manifest import manifest_path
from agri_assets.cube.open import cube_info, open_reflectance, read_block
from agri_assets.cube.shards import shard_file
from agri_assets.cube.verify import verify_cube
from agri_assets.errors import CubeError
from tests.cube.harms import flip, lose, truncate

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


@pytest.mark.parametrize(
    ("harm", "words"),
    [(flip, "damaged"), (truncate, "bytes instead of"), (lose, "is missing")],
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


def test_export_never_replaces_a_folder_and_never_writes_a_lost_shard_as_zeros(built, tmp_path):
    (tmp_path / "maps").mkdir()
    with pytest.raises(CubeError, match="maps is a folder"):
        export_cog(built, "2023-08-15", tmp_path / "maps")
    shard_file(built, cube_info(built), "reflectance", 1, 0, 0).unlink()
    with pytest.raises(CubeError, match="reflectance at y=0, x=0 is missing"):
        export_cog(built, "2023-08-15", tmp_path / "out.tif")
    assert not (tmp_path / "out.tif").exists()


@pytest.mark.parametrize("harm", [flip, truncate, lambda path: path.unlink()])
def test_rebuilding_repairs_exactly_what_is_damaged(site, built, harm):
    untouched = read_block(open_reflectance(built), 0, 0, 0, (1092, 1080))
    whole = read_block(open_reflectance(built), 1, 0, 0, (1092, 1080))
    before = build_cube(site.collection, site.paths, TILE)
    assert before.reused
    harm(shard_file(built, cube_info(built), "reflectance", 1, 1024, 0))
    assert len(verify_cube(built)) == 1
    after = build_cube(site.collection, site.paths, TILE)
    assert (after.metadata["dates"], after.metadata["dates_built"]) == (2, 1)
    assert after.data_version == before.data_version
    assert [slot.slot for slot in cube_info(built).active] == [0, 2]
    assert (read_block(open_reflectance(built), 2, 0, 0, (1092, 1080)) == whole).all()
    assert (read_block(open_reflectance(built), 0, 0, 0, (1092, 1080)) == untouched).all()
    assert verify_cube(built) == []
    assert build_cube(site.collection, site.paths, TILE).reused


def test_a_lost_file_is_made_again_without_being_asked(site, built):
    shard_file(built, cube_info(built), "scl", 0, 0, 0).unlink()
    assert build_cube(site.collection, site.paths, TILE).metadata["dates_built"] == 1
    assert verify_cube(built) == []
