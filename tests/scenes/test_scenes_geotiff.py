"""GeoTIFF stacks: what a sidecar may say, what is believed, and what is refused in one line."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agri_assets.errors import SceneError
from agri_assets.scenes.geotiff import read_sidecar, sidecar_stamp, sidecar_tile
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.sidecar import Layer, Sidecar
from agri_assets.scenes.tile_grid import nominal_grid

DOCUMENT = Path(__file__).parents[2] / "docs" / "sidecar.md"
TILE = nominal_grid("33TWL", 10.0)


def write(
    path: Path, bands: int = 1, dtype: str = "uint16", pixel: float = 10.0, size: int = 60, **options: Any
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    left, top = TILE.transform[2] + options.pop("right", 0), TILE.transform[5] - options.pop("down", 0)
    profile = {
        **{"driver": "GTiff", "count": bands, "dtype": dtype, "crs": "EPSG:32633", "height": size, "width": size},
        **{"transform": rasterio.Affine(pixel, 0, left, 0, -pixel, top), "nodata": 0, **options},
    }
    pixels = np.random.default_rng(0).integers(1, 12, (bands, profile["height"], profile["width"])).astype(dtype)
    with rasterio.open(path, "w", **profile) as target:
        target.write(pixels)
    return path


@pytest.fixture
def said() -> dict[str, Any]:
    """The example of the documentation, as it stands there."""
    return json.loads(re.search(r"```json\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[1])


@pytest.fixture
def stack(tmp_path, said) -> Path:
    """The documentation's example with rasters: a sidecar that can be read."""
    write(tmp_path / "33TWL_20230815_10m.tif", bands=3)
    write(tmp_path / "20m" / "B11.tif", pixel=20.0, size=30)
    write(tmp_path / "20m" / "SCL.tif", pixel=20.0, size=30, dtype="uint8")
    return save(tmp_path, said)


def save(folder: Path, said: Any) -> Path:
    path = folder / "a.scene.json"
    path.write_text(said if isinstance(said, str) else json.dumps(said))
    return path


def refused(path: Path) -> str:
    with pytest.raises(SceneError) as caught:
        read_sidecar(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_documented_example_is_read_field_by_field(stack):
    record = read_sidecar(stack)
    assert record.scene_id == "S2A_33TWL_20230815_0_L2A"
    assert (record.source, record.location, record.mgrs_tile, record.level) == ("geotiff", str(stack), "33TWL", "L2A")
    assert record.acquired == datetime(2023, 8, 15, 10, 0, 31, tzinfo=UTC)
    assert (record.platform, record.processing_baseline, record.cloud_cover) == ("sentinel-2a", "05.09", 12.5)
    assert TileGrid.of(record) == TILE.model_copy(update={"height": 60, "width": 60})
    folder = stack.parent
    layers = {name: (Path(band.href), band.index, band.resolution) for name, band in record.bands.items()}
    assert layers == {
        "B02": (folder / "33TWL_20230815_10m.tif", 1, 10.0),
        "B03": (folder / "33TWL_20230815_10m.tif", 2, 10.0),
        "B04": (folder / "33TWL_20230815_10m.tif", 3, 10.0),
        "B11": (folder / "20m" / "B11.tif", 1, 20.0),
    }
    assert {(band.offset, band.scale, band.nodata) for band in record.bands.values()} == {(-1000, 1e-4, 0)}
    assert record.classification is not None
    assert (record.classification.offset, record.classification.scale) == (0, 1.0)
    assert record.radiometry.offset == -1000
    assert record.radiometry.evidence["processing_baseline"] == "05.09"
    assert record.footprint["type"] == "Polygon"
    assert record.readable
    assert sidecar_tile(stack) == "33TWL"


def test_the_documentation_lists_every_key():
    text = DOCUMENT.read_text()
    rows = set(re.findall(r"^\| `(\w+)` \| (yes|no) \|", text, re.MULTILINE))
    fields = Sidecar.model_fields.items()
    assert rows == {(name, "yes" if field.is_required() else "no") for name, field in fields}
    assert all(f"`{name}`" in text for name in Layer.model_fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offset": None}, "offset is missing; it is never guessed"),
        ({"offset": -999}, "offset is -999: input should be 0 or -1000"),
        ({"offset": 0}, "processing_baseline 05.09 means that -1000 must be added, but offset is 0"),
        ({"processing_baseline": "03.01"}, "processing_baseline 03.01 means that 0 must be added, but offset is -1000"),
        ({"offset_applied": True}, "offset_applied is true, but offset says that -1000"),
        ({"level": "L1C"}, "level is 'L1C': input should be 'L2A'"),
        ({"sidecar": 2}, "sidecar is 2: input should be 1"),
        ({"quantification": 1000}, "quantification is 1000: input should be 10000"),
        ({"quantification": "10000"}, "quantification is '10000'"),
        ({"nodata": 65535}, "nodata is 65535 here, but 0 in"),
        ({"nodata": 70000}, "nodata is 70000: input should be less than or equal to 65535"),
        ({"crs": "EPSG:32633"}, "unknown key 'crs'"),
        ({"tile": "33TAL"}, "'33TAL' is not an MGRS tile"),
        ({"tile": "here"}, "tile is 'here'"),
        ({"tile": "32TWL"}, "not an MGRS tile"),
        ({"tile": "33TWN"}, "its finest band is on 60 x 60 px of 10 m in EPSG:32633"),
        ({"platform": "landsat-8"}, "platform is 'landsat-8': platform 'landsat-8' is not a Sentinel-2 satellite"),
        ({"acquired": "yesterday"}, "acquired is 'yesterday'"),
        ({"acquired": 1692093631}, "acquired is 1692093631"),
        ({"acquired": "0001-01-01T00:00:00+23:00"}, "not a time that a satellite"),
        ({"cloud_cover": 101}, "cloud_cover is 101"),
        ({"processing_baseline": "5.9"}, "processing_baseline is '5.9'"),
        ({"bands": {}}, "bands is {}"),
        ({"bands": {"B10": {"file": "x.tif"}}}, "bands.B10 is 'B10': not a band of Level-2A"),
        ({"bands": {"B02": {"file": "/etc/passwd"}}}, "bands.B02.file is '/etc/passwd': must be a path relative"),
        ({"bands": {"B02": {"file": "20m/../../x.tif"}}}, "inside its folder"),
        ({"bands": {"B02": {"file": "https://host/x.tif"}}}, "inside its folder"),
        ({"bands": {"B02": {"file": "x.tif"}}}, "x.tif: no such file, named by the sidecar"),
        ({"bands": {"B02": {"file": "20m"}}}, "20m: no such file"),
        ({"bands": {"B02": {"file": "a.scene.json"}}}, "no TIFF"),
        ({"bands": {"B02": {"file": "20m/B11.tif", "band": 2}}}, "B02 is band 2 of"),
        ({"bands": {"B02": {"file": "20m/B11.tif", "band": 0}}}, "bands.B02.band is 0"),
        ({"bands": {"B02": {"file": "20m/B11.tif", "index": 1}}}, "unknown key 'bands.B02.index'"),
        ({"bands": {"B02": {"file": "20m/SCL.tif"}}}, "B02 is uint8, expected uint16"),
    ],
)
def test_what_is_not_so_is_refused_by_its_key(stack, said, change, message):
    merged = {key: value for key, value in {**said, **change}.items() if value is not None}
    assert message in refused(save(stack.parent, merged))


@pytest.mark.parametrize("text", ["", "[]", "3", "{", '{"sidecar": 1', "[" * 100_000, "\x00\xff"])
def test_what_is_no_sidecar_is_refused(tmp_path, text):
    path = save(tmp_path, text)
    assert str(path) in refused(path)
    assert sidecar_tile(path) is None


def test_an_absent_or_huge_sidecar_is_refused(tmp_path):
    assert "cannot be read" in refused(tmp_path / "b.scene.json")
    assert "larger than" in refused(save(tmp_path, " " * 2**21))


def test_statements_may_be_left_out_where_they_follow_from_none(stack, said):
    for key in ("processing_baseline", "cloud_cover", "nodata", "classification"):
        del said[key]
    for offset in (0, -1000):
        record = read_sidecar(save(stack.parent, {**said, "offset": offset, "acquired": "2023-08-15T10:00:31"}))
        assert record.radiometry.offset == offset
        assert record.radiometry.evidence["processing_baseline"] is None
        assert record.acquired == datetime(2023, 8, 15, 10, 0, 31, tzinfo=UTC)
        assert (record.processing_baseline, record.classification) == ("99.99", None)


def test_an_offset_that_somebody_added_already_is_not_added_again(stack, said):
    record = read_sidecar(save(stack.parent, {**said, "offset": 0, "offset_applied": True}))
    assert {band.offset for band in record.bands.values()} == {0}
    assert "took the offset out" in record.radiometry.decision


def test_a_broken_sidecar_still_tells_its_tile(stack, said):
    assert sidecar_tile(save(stack.parent, {**said, "tile": "1WCP", "level": "L1C", "extra": 1})) == "01WCP"


def test_a_byte_order_mark_does_no_harm(stack):
    stack.write_bytes(b"\xef\xbb\xbf" + stack.read_bytes())
    assert read_sidecar(stack).mgrs_tile == "33TWL"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"right": 5.0}, "its finest band is on"),
        ({"right": -10.0}, "its finest band is on"),
        ({"crs": "EPSG:32632"}, "its finest band is on"),
        ({"crs": None}, "no north-up grid"),
        ({"transform": rasterio.Affine(10, 1, 5e5, 0, -10, 51e5)}, "no north-up grid"),
        ({"transform": rasterio.Affine(10, 0, float("nan"), 0, -10, 51e5)}, "no north-up grid"),
        ({"size": 20}, "the stack's finest band on 20 x 20 px"),
        ({"nodata": 7}, "nodata is 0 here, but 7 in"),
        ({"nodata": None, "dtype": "int16"}, "B02 is int16"),
    ],
)
def test_rasters_elsewhere_or_of_another_kind_are_refused(stack, options, message):
    write(stack.parent / "33TWL_20230815_10m.tif", bands=3, **options)
    assert message in refused(stack)


def test_a_raster_says_its_own_nodata(stack, said):
    write(stack.parent / "33TWL_20230815_10m.tif", bands=3, nodata=9999)
    del said["nodata"]
    record = read_sidecar(save(stack.parent, said))
    assert [band.nodata for band in record.bands.values()] == [9999, 9999, 9999, 0]


def test_the_stamp_follows_sidecar_and_rasters(stack, said):
    seen = [sidecar_stamp(stack), read_sidecar(stack).fingerprint]
    assert len(set(seen)) == 1
    seen.append(sidecar_stamp(save(stack.parent, {**said, "cloud_cover": 1})))
    write(stack.parent / "20m" / "B11.tif", pixel=20.0, size=30, compress="deflate")
    seen.append(sidecar_stamp(stack))
    (stack.parent / "20m" / "SCL.tif").unlink()
    seen.append(sidecar_stamp(stack))
    assert len(set(seen)) == 4


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.just([]), st.just({}), st.just("L1C")
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_mutated_sidecars_raise_only_our_own_errors(stack, said, data):
    place = said = json.loads(json.dumps(said))
    while True:
        key = data.draw(st.sampled_from([*place, "new"]))
        if not isinstance(place.get(key), dict) or data.draw(st.booleans()):
            break
        place = place[key]
    if data.draw(st.booleans()):
        place[key] = data.draw(VALUES)
    else:
        place.pop(key, None)
    text = json.dumps(said)
    if data.draw(st.booleans()):
        start = data.draw(st.integers(0, len(text)))
        text = text[:start] + data.draw(st.text(max_size=3)) + text[start + data.draw(st.integers(0, 5)) :]
    path = stack.parent / "a.scene.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        assert read_sidecar(path).mgrs_tile == sidecar_tile(path)
    except SceneError as error:
        assert "\n" not in str(error)  # noqa: PT017  (valid mutations are as welcome)
