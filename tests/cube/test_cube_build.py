"""The cube of scenes: right pixels, one commit point, appended dates, nothing lost."""

import subprocess
import sys

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from agri_assets.cube import slots
from agri_assets.cube.build import build_cube
from agri_assets.cube.index import read_index
from agri_assets.cube.manifest import manifest_folder, manifest_path, read_manifest
from agri_assets.cube.open import cube_info, open_array, open_cube, open_reflectance, read_block
from agri_assets.cube.verify import verify_cube
from agri_assets.errors import CubeError, IdentityError, StoreError
from agri_assets.scenes.catalog import read_catalog, write_catalog
from agri_assets.store.commit import locked
from agri_assets.store.layout import CollectionPaths

TILE = "33TWL"


def expected(site, seed: int, band: str) -> np.ndarray:
    numbers = site.numbers(seed, band).astype(np.int64)
    step = 2 if band == "B11" else 1
    return np.maximum(numbers - 1000, 1).repeat(step, 0).repeat(step, 1)


def read(site, slot: int) -> np.ndarray:
    cube = site.paths.cube(TILE)
    info = cube_info(cube)
    return read_block(open_reflectance(cube), slot, 0, 0, (info.height, info.width))


def build(site, *records):
    site.inventory(*records)
    return build_cube(site.collection, site.paths, TILE)


def elsewhere(site, folder):
    """The same scenes, with another data root."""
    other = type(site)(site.collection, CollectionPaths(folder / "other", "scenes"), site.inbox)
    other.land_cover()
    write_catalog(other.paths.catalog, read_catalog(site.paths))
    return other


def test_pixels_follow_the_convention_at_every_resolution(site):
    outcome = build(site, site.scene("2023-08-10", seed=1))
    got = read(site, 0)
    for number, band in enumerate(site.collection.bands):
        assert (got[number] == expected(site, 1, band)).all()
    clipped = sum(int((site.numbers(1, band) < 1001).sum()) for band in site.collection.bands)
    assert read_manifest(manifest_path(site.paths.cube(TILE), 0)).clipped == clipped
    assert outcome.metadata["dates_built"] == 1
    assert all(path.stat().st_size < 80_000 for path in outcome.pictures.values())
    assert verify_cube(site.paths.cube(TILE)) == []


def test_plain_xarray_opens_it_lazily_with_its_crs_and_no_warning(site):
    build(site, site.scene("2023-08-10"), site.scene("2023-08-15", seed=1))
    script = (
        "import sys, xarray as xr, rioxarray\n"
        "pixels = xr.open_zarr(sys.argv[1])['reflectance']\n"
        "assert pixels.dims == ('time', 'band', 'y', 'x') and pixels.dtype == 'uint16', pixels\n"
        "assert type(pixels.data).__module__.startswith('dask'), type(pixels.data)\n"
        "assert pixels.rio.crs.to_epsg() == 32633\n"
        "assert float(pixels.x[0]) == 499985.0 and float(pixels.y[0]) == 5099995.0\n"
        "assert pixels.sel(time='2023-08-15', band='B08').isel(x=slice(3)).values.dtype == 'uint16'\n"
        "assert float(pixels.wavelength.sel(band='B11')) == 1613.7\n"
    )
    command = [sys.executable, "-W", "error", "-c", script, str(site.paths.cube(TILE))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_plain_readers_of_unconsolidated_metadata_see_the_same(site):
    build(site, site.scene("2023-08-10"))
    cube = xr.open_zarr(site.paths.cube(TILE), consolidated=False)
    assert cube["reflectance"].shape[0] == 1


def test_the_index_tells_position_labels_and_ground(site):
    build(site, site.scene("2023-08-10", scl=9, hole=slice(0, 96)), site.scene("2023-08-15", seed=1))
    index = gpd.read_parquet(site.paths.tiles(TILE))
    assert index.crs.to_epsg() == 4326
    rows, cols = 1092 // 64, 1080 // 64
    assert len(index) == 2 * rows * cols
    first = index[index["date"] == "2023-08-10"].set_index("tile_id")
    assert first.loc["33TWL_r000_c000", "valid_fraction"] == 0
    assert first.loc["33TWL_r001_c000", "valid_fraction"] == 0.5
    assert first.loc["33TWL_r003_c000", "clear_fraction"] == 0
    assert first.loc["33TWL_r003_c015", "clear_fraction"] == 1
    assert first.loc["33TWL_r003_c000", "label"] == 1
    assert first.loc["33TWL_r003_c000", "class_name"] == "Cropland"
    assert first.loc["33TWL_r003_c015", "label"] == 0
    middle = first.loc["33TWL_r003_c008"]
    assert middle["cropland_fraction"] == pytest.approx(28 / 64)
    assert middle["ambiguous"]
    assert pd.isna(middle["label"])
    assert set(first["owner"]) == {"33TWL"}
    assert first.geometry.iloc[0].area > 0
    assert str(read_index(site.paths.tiles(TILE))["label"].dtype) == "Int8"


def test_nothing_new_is_reused(site):
    first = build(site, site.scene("2023-08-10"))
    again = build_cube(site.collection, site.paths, TILE)
    assert again.reused
    assert again.data_version == first.data_version


def test_a_new_date_is_appended_and_the_old_one_untouched(site):
    late, early = site.scene("2023-08-15", seed=1), site.scene("2023-08-10", seed=2)
    build(site, late)
    cube = site.paths.cube(TILE)
    before = {path: path.stat().st_mtime_ns for path in (cube / "reflectance" / "c" / "0").rglob("*")}
    outcome = build(site, late, early)
    assert outcome.metadata["dates_built"] == 1
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert [slot.date for slot in cube_info(cube).slots] == ["2023-08-15", "2023-08-10"]
    ordered = open_cube(str(cube))
    assert [str(day)[:10] for day in ordered["time"].values] == ["2023-08-10", "2023-08-15"]
    assert ordered["reflectance"].chunks == ((1, 1), (3,), (1024, 68), (1024, 56))
    assert (ordered["reflectance"].isel(time=0).values[1] == expected(site, 2, "B08")).all()


def test_the_data_version_does_not_depend_on_the_order_of_arrival(site, tmp_path):
    late, early = site.scene("2023-08-15", seed=1), site.scene("2023-08-10", seed=2)
    build(site, late)
    one = build(site, late, early)
    other = elsewhere(site, tmp_path)
    assert build(other, early, late).data_version == one.data_version


def test_a_changed_scene_takes_a_new_slot_and_one_that_returns_its_old(site):
    old = site.scene("2023-08-10", seed=1)
    first = build(site, old)
    build(site, site.scene("2023-08-10", seed=7))
    info = cube_info(site.paths.cube(TILE))
    assert [slot.active for slot in info.slots] == [False, True]
    assert (read(site, 0)[0] == expected(site, 1, "B02")).all()
    assert set(read_index(site.paths.tiles(TILE))["slot"]) == {1}
    assert open_cube(site.paths.cube(TILE)).sizes["time"] == 1
    back = build(site, old)
    assert back.metadata["dates_built"] == 0
    assert [slot.active for slot in cube_info(site.paths.cube(TILE)).slots] == [True, False]
    assert back.data_version == first.data_version


def test_a_scene_that_left_the_inventory_becomes_inactive_with_a_word(site):
    kept, gone = site.scene("2023-08-10"), site.scene("2023-08-15", seed=1)
    build(site, kept, gone)
    outcome = build(site, kept)
    assert "2023-08-15" in outcome.warnings[0]
    assert [slot.date for slot in cube_info(site.paths.cube(TILE)).active] == ["2023-08-10"]


def test_granules_of_one_day_are_merged_and_the_first_valid_wins(site):
    morning = site.scene("2023-08-10", seed=1, hole=slice(100, 600), hour=9)
    noon = site.scene("2023-08-10", seed=2, hour=12, scl=8)
    build(site, noon, morning)
    info, got = cube_info(site.paths.cube(TILE)), read(site, 0)
    assert info.slots[0].scene_id == f"{morning.scene_id}+{noon.scene_id}"
    hole = np.zeros(got.shape[1:], dtype=bool)
    hole[100:600] = True
    for number, band in enumerate(site.collection.bands):
        merged = np.where(hole, expected(site, 2, band), expected(site, 1, band))
        assert (got[number] == merged).all()
    classes = open_array(site.paths.cube(TILE), "scl")[0:1, 0:1092, 0:1080][0]
    assert (classes[100:600, :540] == 8).all()
    assert (classes[600:, :540] == 4).all()


def test_empty_shards_have_no_file_and_are_known_to_be_empty(site):
    build(site, site.scene("2023-08-10", hole=slice(0, 1024)))
    cube = site.paths.cube(TILE)
    manifest = read_manifest(manifest_path(cube, 0))
    empty = [shard for shard in manifest.shards if shard.array == "reflectance" and shard.state == "empty"]
    assert [(shard.y, shard.x) for shard in empty] == [(0, 0), (0, 1024)]
    assert not (cube / "reflectance" / "c" / "0" / "0" / "0" / "0").exists()
    assert verify_cube(cube) == []


def damage(record, band: str):
    path = record.bands[band].href
    with open(path, "r+b") as file:
        file.truncate(3000)
    return record


def test_a_damaged_raster_refuses_its_scene_and_the_others_go_on(site):
    good, bad = site.scene("2023-08-15", seed=1), damage(site.scene("2023-08-10"), "B08")
    outcome = build(site, bad, good)
    assert [slot.date for slot in cube_info(site.paths.cube(TILE)).slots] == ["2023-08-15"]
    assert "2023-08-10" in outcome.warnings[0]
    assert "B08.tif" in outcome.warnings[0]
    assert outcome.metadata["refused"] == 1
    failed = read_manifest(manifest_folder(site.paths.cube(TILE)) / "failed-2023-08-10.json")
    assert {shard.state for shard in failed.shards} == {"failed"}
    assert (read(site, 0)[0] == expected(site, 1, "B02")).all()


def test_only_damaged_scenes_are_an_error_and_leave_no_cube(site):
    with pytest.raises(CubeError, match="none of 1 dates could be built"):
        build(site, damage(site.scene("2023-08-10"), "B11"))
    with pytest.raises(CubeError, match="no readable cube"):
        cube_info(site.paths.cube(TILE))


def test_a_scene_on_another_grid_is_refused(site):
    moved = site.scene("2023-08-15", seed=1)
    good = site.scene("2023-08-10")
    bands = {**moved.bands, "B02": moved.bands["B11"].model_copy(update={"href": str(site.paths.land_cover(TILE))})}
    build(site, good)
    shifted = site.paths.land_cover(TILE).with_name("shifted.tif")
    import rasterio

    with rasterio.open(site.paths.land_cover(TILE)) as source:
        profile = {**source.profile, "transform": rasterio.Affine(10, 0, 499990, 0, -10, 5100000), "dtype": "uint16"}
        with rasterio.open(shifted, "w", **profile) as target:
            target.write(source.read().astype("uint16"))
    bands["B02"] = bands["B02"].model_copy(update={"href": str(shifted)})
    outcome = build(site, good, moved.model_copy(update={"bands": bands}))
    assert "shifted.tif" in outcome.warnings[0]


@pytest.mark.parametrize("victim", ["build_slot", "write_samples", "write_manifest", "commit"])
def test_a_build_that_dies_is_never_seen_and_the_next_completes_it(site, monkeypatch, tmp_path, victim):
    first, second = site.scene("2023-08-10", seed=1), site.scene("2023-08-15", seed=2)
    build(site, first)
    real = getattr(slots, victim)

    def die(*arguments, **options):
        if victim == "build_slot":
            real(*arguments, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(slots, victim, die)
        with pytest.raises(KeyboardInterrupt):
            build(site, first, second)
    assert [slot.date for slot in cube_info(site.paths.cube(TILE)).slots] == ["2023-08-10"]
    assert xr.open_zarr(site.paths.cube(TILE), consolidated=False).sizes["time"] == 1
    healed = build(site, first, second)
    other = elsewhere(site, tmp_path)
    assert build(other, first, second).data_version == healed.data_version
    assert verify_cube(site.paths.cube(TILE)) == []


def test_rubbish_left_at_a_slots_place_is_overwritten(site):
    first, second = site.scene("2023-08-10", seed=1), site.scene("2023-08-15", seed=2, hole=slice(0, 1024))
    build(site, first)
    left = site.paths.cube(TILE) / "reflectance" / "c" / "1" / "0"
    for shard in ("0/0", "0/1", "1/0"):
        (left / shard).parent.mkdir(parents=True, exist_ok=True)
        (left / shard).write_bytes(b"half a shard")
    build(site, first, second)
    assert verify_cube(site.paths.cube(TILE)) == []
    assert (read(site, 1)[0][1024:] == expected(site, 2, "B02")[1024:]).all()
    assert not read(site, 1)[:, :1024].any()


def test_new_land_cover_or_labels_rebuild_only_the_index(site, monkeypatch):
    scene = site.scene("2023-08-10")
    first = build(site, scene)
    monkeypatch.setattr(slots, "build_slot", lambda *_: pytest.fail("pixels were built again"))
    site.land_cover(np.full((1092, 1080), 40, dtype=np.uint8), version="2")
    second = build_cube(site.collection, site.paths, TILE)
    assert (read_index(site.paths.tiles(TILE))["label"] == 1).all()
    assert second.data_version != first.data_version
    clouds = site.collection.clouds.model_copy(update={"not_clear": (4,)})
    build_cube(site.collection.model_copy(update={"clouds": clouds}), site.paths, TILE)
    assert (read_index(site.paths.tiles(TILE))["clear_fraction"] == 0).all()


def test_two_builds_of_one_tile_do_not_meet(site):
    site.inventory(site.scene("2023-08-10"))
    with locked(site.paths.cube(TILE), "a test"), pytest.raises(StoreError, match="in use by another process"):
        build_cube(site.collection, site.paths, TILE)


def test_other_bands_over_an_existing_cube_are_refused(site):
    build(site, site.scene("2023-08-10"))
    with pytest.raises(IdentityError):
        build_cube(site.collection.model_copy(update={"bands": ("B02", "B08")}), site.paths, TILE)


def test_an_inventory_without_usable_scenes_leaves_the_cube_alone(site):
    build(site, site.scene("2023-08-10"))
    with pytest.raises(CubeError, match="no usable scene"):
        build(site)
    assert len(cube_info(site.paths.cube(TILE)).active) == 1


def test_a_missing_inventory_names_the_command(site):
    site.paths.receipt("raw_scenes", TILE).unlink(missing_ok=True)
    with pytest.raises(CubeError, match=r"key:scenes/raw_scenes --partition 33TWL"):
        build_cube(site.collection, site.paths, TILE)
