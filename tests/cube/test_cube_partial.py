"""Scenes that cover part of the tile, bands within one file, and the two ways to bring coarse bands to the grid."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from agri_assets.cube.build import build_cube
from agri_assets.cube.manifest import manifest_path, read_manifest
from agri_assets.cube.open import cube_info, open_array, open_cube, open_reflectance, read_block
from agri_assets.cube.resample import Axis, resample
from agri_assets.cube.verify import verify_cube
from agri_assets.scenes.record import BandRecord, SceneRecord

TILE = "33TWL"
SIDE = (1092, 1080)


def stack(site, record: SceneRecord, rows: slice, cols: slice, shift: float = 0.0) -> SceneRecord:
    """The part of a scene within these pixels of the grid: its 10 m bands in one file, the others in their own."""
    bands, folder = {}, Path(record.location)
    fine = [name for name, band in record.bands.items() if band.resolution == 10]
    pixels = [cut(record.bands[name], rows, cols) for name in fine]
    path = save(folder / "stack.tif", np.stack([pixels[0] * 0 + 7, *pixels]), record, rows, cols, 10.0, shift)
    for name, band in record.bands.items():
        if name in fine:
            bands[name] = band.model_copy(update={"href": path, "index": 2 + fine.index(name)})
        else:
            bands[name] = band.model_copy(update={"href": cut_file(band, record, rows, cols, shift)})
    assert record.classification is not None
    classes = record.classification.model_copy(
        update={"href": cut_file(record.classification, record, rows, cols, shift)}
    )
    return record.model_copy(update={"bands": bands, "classification": classes, "fingerprint": f"{rows} {cols}"})


def cut(band: BandRecord, rows: slice, cols: slice) -> np.ndarray:
    step = int(band.resolution // 10)
    with rasterio.open(band.href) as source:
        return source.read(1)[rows.start // step : rows.stop // step, cols.start // step : cols.stop // step]


def cut_file(band: BandRecord, record: SceneRecord, rows: slice, cols: slice, shift: float) -> str:
    path = Path(band.href).with_suffix(".part.tif")
    return save(path, cut(band, rows, cols)[None], record, rows, cols, band.resolution, shift)


def save(path: Path, pixels: np.ndarray, record: SceneRecord, rows, cols, pixel: float, shift: float) -> str:
    left, top = record.transform[2] + cols.start * 10 + shift, record.transform[5] - rows.start * 10
    profile = {"driver": "GTiff", "dtype": pixels.dtype, "crs": record.crs, "interleave": "pixel", "count": len(pixels)}
    transform = rasterio.Affine(pixel, 0, left, 0, -pixel, top)
    height, width = pixels.shape[1:]
    with rasterio.open(path, "w", height=height, width=width, transform=transform, **profile) as target:
        target.write(pixels)
    return str(path)


def build(site, *records, resampling="nearest"):
    site.inventory(*records)
    return build_cube(site.collection.model_copy(update={"resampling": resampling}), site.paths, TILE)


def read(site, slot: int) -> np.ndarray:
    return read_block(open_reflectance(site.paths.cube(TILE)), slot, 0, 0, SIDE)


def classes_of(site, slot: int) -> np.ndarray:
    return open_array(site.paths.cube(TILE), "scl")[slot : slot + 1, 0 : SIDE[0], 0 : SIDE[1]][0]


PARTS = [
    (slice(100, 900), slice(0, 1080)),
    (slice(0, 1092), slice(600, 1060)),
    (slice(1030, 1092), slice(1026, 1080)),
    (slice(502, 1026), slice(1022, 1030)),
]


@pytest.mark.parametrize(("rows", "cols"), PARTS)
@pytest.mark.parametrize("resampling", ["nearest", "bilinear"])
def test_a_part_of_the_tile_stands_where_it_belongs(site, rows, cols, resampling):
    whole = site.scene("2023-08-10", seed=1, scl=8)
    part = stack(site, site.scene("2023-08-15", seed=1, scl=8), rows, cols)
    outcome = build(site, whole, part, resampling=resampling)
    assert not outcome.warnings
    expected, found = read(site, 0), read(site, 1)
    covered = np.zeros(SIDE, dtype=bool)
    covered[rows, cols] = True
    assert not found[:, ~covered].any()
    assert not classes_of(site, 1)[~covered].any()
    np.testing.assert_array_equal(classes_of(site, 1)[covered], classes_of(site, 0)[covered])
    # bilinear has other neighbours at the edge of the part
    inner = covered.copy()
    if resampling == "bilinear":
        inner[:] = False
        inner[rows.start + 2 : rows.stop - 2, cols.start + 2 : cols.stop - 2] = True
    np.testing.assert_array_equal(found[:, inner], expected[:, inner])
    np.testing.assert_array_equal(found[:2, covered], expected[:2, covered])
    assert verify_cube(site.paths.cube(TILE)) == []


def test_shards_that_a_scene_does_not_reach_are_empty(site):
    build(site, stack(site, site.scene("2023-08-10"), slice(0, 400), slice(0, 1024)))
    shards = read_manifest(manifest_path(site.paths.cube(TILE), 0)).shards
    states = {(shard.array, shard.y, shard.x): shard.state for shard in shards}
    for array in ("reflectance", "scl"):
        assert [states[array, y, x] for y in (0, 1024) for x in (0, 1024)] == ["data", "empty", "empty", "empty"]


def test_parts_of_one_day_are_merged_into_one_date(site):
    north, south = site.scene("2023-08-10", seed=1, hour=9), site.scene("2023-08-10", seed=1, hour=12)
    parts = [stack(site, north, slice(0, 700), slice(0, 1080)), stack(site, south, slice(500, 1092), slice(0, 1080))]
    build(site, *parts)
    merged = read(site, 0)
    assert (merged > 0).all()
    build(site, *parts, site.scene("2023-08-11", seed=1))
    np.testing.assert_array_equal(merged, read(site, 1))


@pytest.mark.parametrize(
    ("rows", "cols", "shift"),
    [
        (slice(100, 200), slice(100, 200), 5.0),
        (slice(0, 1092), slice(0, 1080), 10.0),
        (slice(0, 1092), slice(0, 1080), -20.0),
    ],
)
def test_what_lies_off_the_pixel_corners_or_beyond_the_tile_is_refused_with_figures(site, rows, cols, shift):
    good = site.scene("2023-08-10")
    outcome = build(site, good, stack(site, site.scene("2023-08-15", seed=1), rows, cols, shift))
    assert len(outcome.warnings) == 1
    assert "the tile's grid is 1092 x 1080 px of 10 m in EPSG:32633, x 499980 to 510780" in outcome.warnings[0]
    assert f"x {499980 + cols.start * 10 + shift:.10g} to" in outcome.warnings[0]


def test_a_file_without_the_band_is_refused(site):
    record = site.scene("2023-08-15", seed=1)
    bands = {**record.bands, "B08": record.bands["B08"].model_copy(update={"index": 2})}
    outcome = build(site, site.scene("2023-08-10"), record.model_copy(update={"bands": bands}))
    assert "has 1 bands, asked for number 2" in outcome.warnings[0]


def test_bilinear_is_recorded_and_changes_coarse_reflectance_alone(site):
    record = site.scene("2023-08-10", seed=1, scl=8)
    build(site, record)
    nearest, classes = read(site, 0), classes_of(site, 0)
    outcome = build(site, record, resampling="bilinear")
    assert outcome.metadata["dates_built"] == 1
    info = cube_info(site.paths.cube(TILE))
    assert [(slot.active, slot.resampling) for slot in info.slots] == [(False, "nearest"), (True, "bilinear")]
    assert open_cube(site.paths.cube(TILE))["reflectance"].attrs["resampling"] == "bilinear"
    found = read(site, 1)
    np.testing.assert_array_equal(found[:2], nearest[:2])
    np.testing.assert_array_equal(classes_of(site, 1), classes)
    numbers = np.maximum(site.numbers(1, "B11").astype(np.int64) - 1000, 1).astype(np.uint16)
    axes = [Axis.of(0, count, 2.0, coarse) for count, coarse in zip(SIDE, numbers.shape, strict=True)]
    np.testing.assert_array_equal(found[2], resample(numbers, *axes, "bilinear"))
    back = build(site, record)
    assert back.metadata["dates_built"] == 0
    assert open_cube(site.paths.cube(TILE))["reflectance"].attrs["resampling"] == "nearest"


def test_classes_beyond_8_bits_stay_out_of_range(site):
    record = site.scene("2023-08-10")
    assert record.classification is not None
    with rasterio.open(record.classification.href) as source:
        profile, numbers = source.profile, source.read(1).astype(np.uint16)
    numbers[:10] = 256 + 4
    with rasterio.open(record.classification.href, "w", **{**profile, "dtype": "uint16"}) as target:
        target.write(numbers, 1)
    build(site, record)
    classes = classes_of(site, 0)
    assert (classes[:20] == 255).all()
    assert (classes[20:] == 4).all()
