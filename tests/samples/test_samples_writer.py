import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.warp

from agri_assets.errors import ConfigError
from agri_assets.samples import writer
from agri_assets.samples.manifest import MANIFEST, sha3
from agri_assets.samples.rasters import IMAGES
from agri_assets.samples.writer import SampleSet, write_samples

TILES = ["31TCJ", "31TDJ"]
SIZE = 384


@pytest.fixture(scope="module")
def samples(tmp_path_factory) -> SampleSet:
    return write_samples(tmp_path_factory.mktemp("samples") / "scenes", TILES, dates=2, size=SIZE, damaged=1)


def image(product: Path, name: str) -> Path:
    (path,) = product.glob(f"GRANULE/*/IMG_DATA/R{IMAGES[name]}m/*_{name}_{IMAGES[name]}m.jp2")
    return path


def read(product: Path, name: str) -> np.ndarray:
    with rasterio.open(image(product, name)) as source:
        return source.read(1)


def codestream_tile(path: Path) -> tuple[int, int]:
    """Tile width and height from the SIZ marker of the JPEG 2000 codestream itself."""
    data = path.read_bytes()
    siz = data.index(b"\xff\x4f\xff\x51") + 4
    return int.from_bytes(data[siz + 20 : siz + 24], "big"), int.from_bytes(data[siz + 24 : siz + 28], "big")


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*.SAFE/**/*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_set_has_all_products_in_order(samples):
    assert not samples.reused
    assert [product.name[39:44] for product in samples.products] == ["31TCJ", "31TCJ", "31TDJ", "31TDJ", "31TCJ"]
    assert all(product.is_dir() and product.suffix == ".SAFE" for product in samples.products)
    assert len({product.name for product in samples.products}) == 5


def test_gdal_driver_lists_and_opens_every_resolution(samples):
    document = samples.products[0] / "MTD_MSIL2A.xml"
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        product = rasterio.open(document)
    with product:
        assert product.driver == "SENTINEL2"
        names = product.subdatasets
        assert product.tags()["PROCESSING_BASELINE"] == "05.09"
    assert f"SENTINEL2_L2A:{document}:10m:EPSG_32631" in names
    for resolution, bands in ((10, 4), (20, 6), (60, 2)):
        with rasterio.open(f"SENTINEL2_L2A:{document}:{resolution}m:EPSG_32631") as source:
            assert source.crs.to_epsg() == 32631
            assert source.res == (resolution, resolution)
            assert source.width == SIZE * 10 // resolution
            assert [text[0] for text in source.descriptions[:bands]] == ["B"] * bands
            assert source.read(1).min() > 0


def test_images_have_the_real_form(samples):
    product = samples.products[0]
    for name, resolution in IMAGES.items():
        path = image(product, name)
        side = SIZE * 10 // resolution
        with rasterio.open(path) as source:
            assert source.driver == "JP2OpenJPEG"
            assert source.shape == (side, side)
            assert source.dtypes[0] == ("uint8" if name == "SCL" else "uint16")
            assert source.crs.to_epsg() == 32631
            assert source.transform.c % 60 == 0
            assert source.transform.f % 60 == 0
        block = {10: 1024, 20: 640, 60: 192}[resolution]
        assert codestream_tile(path) == (min(block, side), min(block, side))


@pytest.mark.parametrize("date", [0, 1])
def test_neighbours_agree_in_their_overlap(samples, date):
    west, east = samples.products[date], samples.products[2 + date]
    for name in IMAGES:
        with rasterio.open(image(west, name)) as one, rasterio.open(image(east, name)) as other:
            assert one.bounds.top == other.bounds.top
            shift = round((other.bounds.left - one.bounds.left) / one.res[0])
            left = one.read(1)[:, shift:]
            right = other.read(1)[:, : left.shape[1]]
        assert left.size > 0
        np.testing.assert_array_equal(left, right, err_msg=name)


def test_same_seed_gives_the_same_bytes_and_another_seed_other_pixels(samples, tmp_path):
    again = write_samples(tmp_path / "again", TILES, dates=1, cloudy_dates=0, size=SIZE)
    first = {k: v for k, v in digests(samples.products[0].parent).items() if k.startswith(again.products[0].name)}
    second = {k: v for k, v in digests(tmp_path / "again").items() if k.startswith(again.products[0].name)}
    assert first
    assert first == second
    other = write_samples(tmp_path / "other", TILES[:1], dates=1, cloudy_dates=0, size=96, seed=1)
    same_place = write_samples(tmp_path / "same", TILES[:1], dates=1, cloudy_dates=0, size=96)
    assert (read(other.products[0], "B08") != read(same_place.products[0], "B08")).mean() > 0.9


def test_metadata_states_what_the_pixels_hold(samples):
    for product in samples.products[:2]:
        root = ET.parse(product / "MTD_MSIL2A.xml").getroot()
        assert root.findtext(".//PRODUCT_URI") == product.name
        assert [entry.text for entry in root.iter("BOA_ADD_OFFSET")] == ["-1000"] * 13
        assert root.findtext(".//BOA_QUANTIFICATION_VALUE") == "10000"
        scl = read(product, "SCL")
        stated = float(root.findtext(".//Cloud_Coverage_Assessment"))
        assert stated == pytest.approx(np.isin(scl, (8, 9, 10)).mean() * 100, abs=1e-5)
        assert float(root.findtext(".//WATER_PERCENTAGE")) == pytest.approx((scl == 6).mean() * 100, abs=1e-5)
        for entry in root.iter("IMAGE_FILE"):
            assert (product / f"{entry.text}.jp2").is_file()
        tile = ET.parse(next(product.glob("GRANULE/*/MTD_TL.xml"))).getroot()
        assert tile.findtext(".//HORIZONTAL_CS_CODE") == "EPSG:32631"
        with rasterio.open(image(product, "B02")) as source:
            place = tile.find(".//Geoposition[@resolution='10']")
            assert (float(place.findtext("ULX")), float(place.findtext("ULY"))) == (
                source.transform.c,
                source.transform.f,
            )
            outline = [float(number) for number in root.findtext(".//EXT_POS_LIST").split()]
            bounds = rasterio.warp.transform_bounds(source.crs, "EPSG:4326", *source.bounds)
        assert min(outline[1::2]) == pytest.approx(bounds[0], abs=1e-6)
        assert max(outline[::2]) == pytest.approx(bounds[3], abs=1e-6)
        assert outline[:2] == outline[-2:]
        assert 15 < float(tile.findtext(".//Mean_Sun_Angle/ZENITH_ANGLE")) < 35


def test_documents_have_the_elements_of_a_real_product(samples, shared_data):
    """Every element that we write stands at the same path in a real product of this baseline."""

    def paths(root: ET.Element, prefix: str = "") -> set[str]:
        found = {f"{prefix}/{root.tag}"}
        for child in root:
            found |= paths(child, f"{prefix}/{root.tag}")
        return found

    (real,) = (shared_data / "safe_metadata").glob("S2A_MSIL2A_20230821*_N0509_*.SAFE")
    for pattern in ("MTD_MSIL2A.xml", "GRANULE/*/MTD_TL.xml"):
        ours = paths(ET.parse(next(samples.products[0].glob(pattern))).getroot())
        theirs = paths(ET.parse(next(real.glob(pattern))).getroot())
        assert ours <= theirs, sorted(ours - theirs)


def test_manifest_lists_every_file_with_its_checksum(samples):
    product = samples.products[0]
    entries = {}
    for stream in ET.parse(product / MANIFEST).getroot().iter("byteStream"):
        path = product / stream.find("fileLocation").get("href")
        entries[path.resolve()] = (int(stream.get("size")), stream.findtext("checksum"))
        assert stream.find("checksum").get("checksumName") == "SHA3-256"
    files = {path.resolve() for path in product.rglob("*") if path.is_file() and path.name != MANIFEST}
    assert set(entries) == files
    for path, (size, checksum) in entries.items():
        assert (path.stat().st_size, sha3(path)) == (size, checksum)


def test_dates_differ_in_cloud(samples):
    clear, cloudy = (read(product, "SCL") for product in samples.products[:2])
    assert not np.isin(clear, (3, 8, 9, 10)).any()
    assert np.isin(cloudy, (8, 9, 10)).mean() > 0.2


def test_damaged_product_contradicts_its_manifest_in_one_file(samples):
    product = samples.products[-1]
    wrong = [
        stream.find("fileLocation").get("href")
        for stream in ET.parse(product / MANIFEST).getroot().iter("byteStream")
        if sha3(product / stream.find("fileLocation").get("href")) != stream.findtext("checksum")
    ]
    assert len(wrong) == 1
    assert wrong[0].endswith("_B04_10m.jp2")


def test_land_cover_lies_on_the_worldcover_grid_and_on_the_pixels(samples):
    (path,) = samples.land_cover
    assert path.name == "ESA_WorldCover_10m_2021_v200_N42E000_Map.tif"
    with rasterio.open(path) as cover:
        assert cover.crs.to_epsg() == 4326
        assert cover.nodata == 0
        assert cover.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert cover.transform.a == pytest.approx(1 / 12000, rel=1e-12)
        assert (cover.transform.c * 12000) % 1 == pytest.approx(0, abs=1e-6)
        codes = cover.read(1)
        assert set(np.unique(codes)) <= {0, 10, 20, 30, 40, 50, 60, 80, 90}
        with rasterio.open(image(samples.products[0], "B04")) as scene:
            onto = np.zeros(scene.shape, np.uint8)
            rasterio.warp.reproject(
                rasterio.band(cover, 1), onto, dst_transform=scene.transform, dst_crs=scene.crs, resampling=0
            )
    assert (onto > 0).all()
    near, red = (read(samples.products[0], name)[::1].astype(float) - 1000 for name in ("B08", "B04"))
    ndvi = (near - red) / (near + red)
    assert ndvi[onto == 10].mean() > 0.75
    assert ndvi[onto == 10].mean() > ndvi[onto == 40].mean() > ndvi[onto == 50].mean()


def test_a_second_run_writes_nothing(samples):
    folder = samples.products[0].parent
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"}
    again = write_samples(folder, TILES, dates=2, size=SIZE, damaged=1)
    assert again.reused
    assert (again.products, again.land_cover) == (samples.products, samples.land_cover)
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_lost_product_alone_is_written_again(tmp_path):
    first = write_samples(tmp_path, ["31TCJ"], dates=2, size=96)
    kept, lost = first.products
    stamp = (kept / MANIFEST).stat().st_mtime_ns
    content = digests(lost)
    (lost / MANIFEST).unlink()
    again = write_samples(tmp_path, ["31TCJ"], dates=2, size=96)
    assert not again.reused
    assert (kept / MANIFEST).stat().st_mtime_ns == stamp
    assert digests(lost) == content


@pytest.mark.parametrize(
    ("change", "word"), [({"size": 192}, "size 96"), ({"seed": 5}, "seed 0"), ({"cloudy_dates": 1}, "cloudy")]
)
def test_other_parameters_over_a_filled_folder_are_refused(tmp_path, change, word):
    plain = {"dates": 1, "size": 96, "cloudy_dates": 0}
    first = write_samples(tmp_path, ["31TCJ"], **plain)
    before = digests(tmp_path)
    with pytest.raises(ConfigError, match=word) as caught:
        write_samples(tmp_path, ["31TCJ"], **{**plain, **change})
    assert "\n" not in str(caught.value)
    assert digests(tmp_path) == before
    assert first.products[0].is_dir()


def test_foreign_products_are_left_alone(tmp_path):
    (tmp_path / "S2A_REAL.SAFE").mkdir()
    with pytest.raises(ConfigError, match=r"S2A_REAL\.SAFE"):
        write_samples(tmp_path, ["31TCJ"], dates=1, size=96)


def test_failure_leaves_no_product(tmp_path, monkeypatch):
    def fail(*_args):
        raise OSError("disk full")

    monkeypatch.setattr("agri_assets.samples.product.write_manifest", fail)
    with pytest.raises(OSError, match="disk full"):
        write_samples(tmp_path, ["31TCJ"], dates=1, size=96)
    assert not list(tmp_path.glob("*.SAFE"))
    monkeypatch.undo()
    assert (write_samples(tmp_path, ["31TCJ"], dates=1, size=96).products[0] / MANIFEST).is_file()


def test_kill_leaves_nothing_that_looks_whole_and_the_next_run_sweeps(tmp_path):
    program = (
        "import sys; from pathlib import Path; from agri_assets.samples.writer import write_samples; "
        "write_samples(Path(sys.argv[1]), ['31TCJ'], dates=1, cloudy_dates=0, size=960)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".staging-*")) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert list(tmp_path.glob(".staging-*"))
    assert not list(tmp_path.glob("*.SAFE"))
    write_samples(tmp_path, ["31TCJ"], dates=1, cloudy_dates=0, size=960)
    assert not list(tmp_path.glob(".staging-*"))
    assert len(list(tmp_path.glob("*.SAFE"))) == 1


def test_more_dates_extend_a_folder(tmp_path):
    one = write_samples(tmp_path, ["31TCJ"], dates=1, size=96, cloudy_dates=0)
    two = write_samples(tmp_path, ["31TCJ"], dates=2, size=96, cloudy_dates=0)
    assert two.products[0] == one.products[0]
    assert set(json.loads((tmp_path / writer.RECORD).read_text())["products"]) == {p.name for p in two.products}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"tiles": ["31TZZ"]}, "31TZZ"),
        ({"tiles": ["99ABC"]}, "99ABC"),
        ({"tiles": []}, "no tile"),
        ({"tiles": ["31TCJ", "31tcj"]}, "more than once"),
        ({"size": 10982}, "10982"),
        ({"size": 90}, "90"),
        ({"size": 385}, "385"),
        ({"dates": 0}, "dates 0"),
        ({"cloudy_dates": 3}, "cloudy dates 3"),
        ({"damaged": -1}, "damaged -1"),
    ],
)
def test_bad_parameters_are_refused_in_one_line(tmp_path, change, word):
    with pytest.raises(ConfigError, match=word) as caught:
        write_samples(**{"folder": tmp_path / "new", "tiles": ["31TCJ"], "size": 96, **change})
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_a_window_across_the_antimeridian_has_land_cover_on_both_sides_of_it(tmp_path):
    write_samples(tmp_path, ["01TBH"], dates=1, size=384, cloudy_dates=0, damaged=0)
    sheets = sorted(path.name for path in (tmp_path / "land_cover").iterdir())
    assert len(sheets) == 2
    assert "W180" in sheets[1]
    assert "E177" in sheets[0]
