"""The darkest pixels: what they tell of real and made scenes, and which contradictions are refused."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from agri_assets.errors import SceneError
from agri_assets.scenes.darkest import (
    KEPT_BELOW,
    KEPT_OFFSET,
    LEAST_PIXELS,
    BandFloor,
    Darkest,
    judge,
    look,
    with_evidence,
)
from agri_assets.scenes.narrow import narrow
from agri_assets.scenes.record import BandRecord, Radiometry, SceneRecord
from agri_assets.scenes.safe import read_safe
from agri_assets.scenes.stac import read_item

SIX = ("B02", "B03", "B04", "B08")


def _write(path: Path, pixels: np.ndarray, overviews: bool = False, driver: str = "GTiff") -> BandRecord:
    height, width = pixels.shape
    profile = {"driver": driver, "count": 1, "dtype": "uint16", "crs": "EPSG:32633", "height": height, "width": width}
    if driver == "GTiff":
        profile |= {"tiled": True, "blockxsize": 256, "blockysize": 256}
    with rasterio.open(path, "w", transform=rasterio.Affine(10, 0, 5e5, 0, -10, 5e6), **profile) as dataset:
        dataset.write(pixels.astype(np.uint16), 1)
        if overviews:
            dataset.build_overviews([2, 4], rasterio.enums.Resampling.nearest)
    return BandRecord(href=str(path), resolution=10)


def _record(bands: dict[str, BandRecord], offset: int = 0, cloud: float | None = None) -> SceneRecord:
    return SceneRecord(
        scene_id="S2A_33TWL_20230810_0_L2A",
        source="geotiff",
        location="a scene",
        platform="sentinel-2a",
        mgrs_tile="33TWL",
        level="L2A",
        acquired=datetime(2023, 8, 10, tzinfo=UTC),
        processing_baseline="05.09",
        cloud_cover=cloud,
        crs="EPSG:32633",
        transform=(10, 0, 5e5, 0, -10, 5e6),
        shape=(64, 64),
        bands={name: band.model_copy(update={"offset": offset}) for name, band in bands.items()},
        classification=None,
        radiometry=Radiometry(
            offset=offset, decision=f"add {offset}", evidence={"baseline": "05.09", "B02 raster": "x"}
        ),
        footprint={},
        readable=True,
        fingerprint="f",
    )


def _said(record: SceneRecord, offset: int) -> SceneRecord:
    """The same pixels with metadata that say otherwise."""
    told = _record(record.bands, offset, record.cloud_cover)
    return record.model_copy(update={"bands": told.bands, "radiometry": told.radiometry})


def _floors(offset: int = 0, valid: int = 10_000, below_500: float = 0.0, **lowest: float) -> Darkest:
    bands = (BandFloor(band, offset, valid, value, value + 20, 0.0, below_500) for band, value in lowest.items())
    return Darkest(tuple(bands))


@pytest.fixture(scope="module")
def samples(pristine) -> list[SceneRecord]:
    """Two products whose numbers carry the offset: a clear one and a cloudy one."""
    return [read_safe(path) for path in sorted(pristine.glob("*.SAFE"))]


def test_real_products_without_offset_in_their_pixels(shared_data):
    items = sorted((shared_data / "sentinel2_stac").rglob("S2*.json"))
    assert len(items) == 6
    for path in items:
        record = narrow(read_item(path), SIX)
        seen = look(record)
        assert [one.band for one in seen.telling] == ["B02", "B04", "B08"]
        assert 20 < min(one.lowest for one in seen.bands) < 200
        judge(record, seen)
        wrong = _said(record, -1000)
        with pytest.raises(SceneError, match=r"add -1000 .*% of the stored numbers of B02 are below 500"):
            judge(wrong, look(wrong))


def test_a_real_desert_is_left_to_its_metadata(shared_data):
    record = read_item(next((shared_data / "sentinel2_cog").rglob("S2A*.json")))
    for offset in (0, -1000):
        told = _said(record, offset)
        judge(told, look(told))
        bare = narrow(told, ("B03", "B04", "B08", "B12"))
        judge(bare, look(bare))


def test_samples_carry_their_offset_and_nothing_else_is_believed(samples):
    clear, cloudy = samples
    assert clear.radiometry.offset == -1000
    seen = look(clear)
    assert all(KEPT_OFFSET <= one.lowest < KEPT_BELOW for one in seen.bands)
    judge(clear, seen)
    judge(cloudy, look(cloudy))
    denied = _said(clear, 0)
    with pytest.raises(SceneError, match=r"metadata say: add 0 .*; but the darkest .*offset is still in the pixels"):
        judge(denied, look(denied))


def test_samples_without_offset_in_their_pixels(samples, tmp_path):
    """As Earth Search stores them: offset taken out, clipped at 1."""
    bands = {}
    for band in ("B02", "B04", "B12"):
        with rasterio.open(samples[0].bands[band].href) as source:
            numbers = source.read(1).astype(int)
        bands[band] = _write(tmp_path / f"{band}.tif", np.where(numbers == 0, 0, np.maximum(numbers - 1000, 1)))
    judge(_record(bands, 0), look(_record(bands, 0)))
    with pytest.raises(SceneError, match="the offset is not in the pixels"):
        judge(_record(bands, -1000), look(_record(bands, -1000)))


def test_a_contradiction_is_one_line_that_quotes_both_sides_and_no_grids():
    with pytest.raises(SceneError) as caught:
        judge(_record({}), _floors(B02=1100, B04=1050))
    message = str(caught.value)
    assert message.startswith(
        "a scene: metadata and pixels contradict each other: metadata say: add 0 (baseline 05.09)"
    )
    assert "B02 1100, B04 1050 (0.1 percentile, stored numbers)" in message
    assert "\n" not in message
    assert "raster" not in message


@pytest.mark.parametrize(
    "lowest",
    [
        {"B02": 1300, "B04": 2000, "B12": 3100},  # bare sand, brighter than any desert blue in the real data
        {"B02": 4000, "B04": 4200, "B12": 1100},  # snow: dark in the short-wave infrared alone
        {"B02": 3000, "B04": 3000, "B12": 2500},  # thick clouds
        {"B02": 1100, "B04": 1050, "B12": 600},  # one band is as dark as only without an offset
        {"B02": 1100},  # one band alone
        {"B04": 1100, "B12": 1100},  # no blue
    ],
)
def test_bright_scenes_are_not_taken_for_scenes_with_an_offset(lowest):
    judge(_record({}), _floors(**lowest))


def test_a_scene_under_cloud_is_not_judged_by_its_floor():
    seen = _floors(B02=1200, B04=1250, B12=1400)
    judge(_record({}, cloud=95.0), seen)
    with pytest.raises(SceneError, match="still in the pixels"):
        judge(_record({}, cloud=89.0), seen)


def test_few_dark_numbers_do_not_speak_against_an_offset():
    judge(_record({}), _floors(offset=-1000, below_500=0.009, B02=300))
    with pytest.raises(
        SceneError, match=r"1\.1% of the stored numbers of B02 are below 500 \(reflectance below -0\.05"
    ):
        judge(_record({}), _floors(offset=-1000, below_500=0.011, B02=300))


@given(st.integers(0, LEAST_PIXELS - 1), st.sampled_from([0, -1000]), st.floats(0, 1))
def test_too_few_pixels_say_nothing(valid: int, offset: int, share: float):
    seen = _floors(offset=offset, valid=valid, below_500=share, B02=1100, B04=1100)
    judge(_record({}), seen)
    assert seen.evidence.startswith("not judged")


@given(st.dictionaries(st.sampled_from(["B02", "B04", "B12"]), st.floats(0, 999), min_size=1))
def test_anything_darker_than_the_floor_leaves_nothing_to_add(lowest: dict[str, float]):
    judge(_record({}), _floors(**{**{"B02": 1100, "B04": 1100, "B12": 1100}, **lowest}))


def test_pixels_beside_nodata_are_not_counted(tmp_path):
    pixels = np.full((400, 400), 2000)
    pixels[:, :100] = 0
    pixels[:, 100:102] = 3  # what interpolation makes beside nodata
    seen = look(_record({"B02": _write(tmp_path / "a.tif", pixels)}))
    assert seen.bands == (BandFloor("B02", 0, 400 * 298, 2000, 2000, 0, 0),)


def test_a_band_of_nodata_alone_is_no_error(tmp_path):
    record = _record({"B02": _write(tmp_path / "a.tif", np.zeros((300, 300)))})
    seen = look(record)
    judge(record, seen)
    assert seen.bands[0].valid == 0


@pytest.mark.parametrize(
    ("driver", "overviews", "looked_at"),
    [("GTiff", True, 512 * 512), ("GTiff", False, 3 * 512 * 512), ("JP2OpenJPEG", False, 3 * 512 * 512)],
)
def test_large_rasters_are_looked_at_in_part(tmp_path, driver, overviews, looked_at):
    pixels = np.broadcast_to(1100 + np.arange(3072) % 100, (3072, 3072))
    band = _write(tmp_path / ("a.tif" if driver == "GTiff" else "a.jp2"), pixels, overviews, driver)
    (floor,) = look(_record({"B02": band})).bands
    assert floor.valid == looked_at
    assert abs(floor.lowest - 1100) < 10


def test_a_raster_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(SceneError, match=r"absent\.tif"):
        look(_record({"B02": BandRecord(href=str(tmp_path / "absent.tif"), resolution=10)}))


def test_what_was_seen_goes_with_the_record():
    record = with_evidence(_record({}), "B02 7")
    assert record.radiometry.evidence == {"baseline": "05.09", "B02 raster": "x", "darkest pixels": "B02 7"}
