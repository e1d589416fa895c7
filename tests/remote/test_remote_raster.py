"""Rasters at other hosts: the same pixels as on disk, or an error; never something else."""

import gc
import tempfile
import threading
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.windows import Window

from agri_assets.errors import RemoteError, SceneError
from agri_assets.remote import file as file_module
from agri_assets.remote.http import Http
from agri_assets.remote.raster import open_raster

WINDOW = Window(300, 420, 333, 250)
KINDS = {"B04.tif": "deflate", "plain.tif": "none", "B04.jp2": "jp2"}


@cache
def made(kind: str) -> tuple[bytes, np.ndarray]:
    """A file's content and its pixels; made once for all tests."""
    options = {"blocksize": 256, "overview_resampling": "nearest"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x.{kind}"  # the driver writes its georeference only into *.jp2
        if kind == "jp2":
            pixels = write_raster(path, "JP2OpenJPEG", blockxsize=256, blockysize=256, QUALITY="100", REVERSIBLE="YES")
        else:
            pixels = write_raster(path, "COG", compress=kind, **options)
        return path.read_bytes(), pixels


def write_raster(path, driver="GTiff", size=1024, **options):
    pixels = np.random.default_rng(5).integers(1, 10000, (size, size), dtype="uint16")
    grid = rasterio.transform.from_origin(300000, 4900020, 10, 10)
    with rasterio.open(path, "w", driver, size, size, 1, "EPSG:32633", grid, "uint16", nodata=0, **options) as dataset:
        dataset.write(pixels, 1)
    return pixels


def put(path, kind="deflate"):
    content, pixels = made(kind)
    path.write_bytes(content)
    return pixels


@pytest.fixture
def cog(remote_server):
    pixels = put(remote_server.folder / "B04.tif")
    return remote_server, pixels


def test_a_window_has_the_pixels_of_the_local_file(cog):
    server, pixels = cog
    raster = open_raster(server.at("B04.tif"))
    assert raster.dataset.shape == (1024, 1024)
    assert raster.dataset.crs == "EPSG:32633"
    assert raster.dataset.nodata == 0
    assert raster.dataset.overviews(1) == [2, 4]
    np.testing.assert_array_equal(raster.read(1, window=WINDOW), pixels[420:670, 300:633])
    with rasterio.open(server.folder / "B04.tif") as local:
        np.testing.assert_array_equal(raster.read(1, out_shape=(512, 512)), local.read(1, out_shape=(512, 512)))
    np.testing.assert_array_equal(raster.read(1), pixels)
    raster.close()


def test_nothing_is_asked_for_beside_the_file_and_its_head_but_once(cog):
    server, _ = cog
    raster = open_raster(server.at("B04.tif"))
    assert [span for _, _, span, _ in server.requests] == ["bytes=0-65535"]
    raster.read(1, window=Window(0, 0, 256, 256))
    assert set(server.counts) == {"/B04.tif"}
    assert server.counts["/B04.tif"] <= 4
    before = server.counts["/B04.tif"]
    raster.read(1, window=Window(0, 0, 200, 200))
    assert server.counts["/B04.tif"] == before
    raster.close()


def test_four_threads_read_at_once(cog):
    server, pixels = cog
    wrong = []

    def read(row: int) -> None:
        raster = open_raster(server.at("B04.tif"))
        for column in range(0, 1024, 200):
            found = raster.read(1, window=Window(column, row, 124, 256))
            if not np.array_equal(found, pixels[row : row + 256, column : column + 124]):
                wrong.append((row, column))
        raster.close()

    threads = [threading.Thread(target=read, args=(row,)) for row in range(0, 1024, 256)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_raster_may_be_read_and_closed_by_another_thread_than_opened_it(cog):
    server, pixels = cog
    raster = open_raster(server.at("B04.tif"))
    found = []

    def read() -> None:
        found.append(raster.read(1, window=WINDOW))
        raster.close()

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    np.testing.assert_array_equal(found[0], pixels[420:670, 300:633])


def test_jpeg_2000_is_read_by_window(remote_server):
    pixels = put(remote_server.folder / "B04.jp2", "jp2")
    raster = open_raster(remote_server.at("B04.jp2"))
    assert raster.dataset.crs == "EPSG:32633"
    np.testing.assert_array_equal(raster.read(1, window=WINDOW), pixels[420:670, 300:633])
    np.testing.assert_array_equal(raster.read(1), pixels)
    assert set(remote_server.counts) == {"/B04.jp2"}
    raster.close()


@pytest.mark.parametrize(
    ("kind", "options", "transient"),
    [
        ("status", {"status": 503}, True),
        ("status", {"status": 429, "retry_after": "0"}, True),
        ("status", {"status": 404}, False),
        ("status", {"status": 403}, False),
        ("cut", {}, True),
        ("shifted", {}, False),
    ],
)
@pytest.mark.parametrize("name", KINDS)
def test_a_read_that_fails_raises_and_can_be_repeated(remote_server, name, kind, options, transient):
    path = remote_server.folder / name
    pixels = put(path, KINDS[name])
    raster = open_raster(remote_server.at(name))
    raster.read(1, window=Window(0, 0, 10, 10))
    remote_server.fail(name, kind, times=1000, **options)
    for _ in range(2):
        with pytest.raises(RemoteError) as caught:
            raster.read(1, window=WINDOW)
        assert caught.value.transient is transient
        assert "/vsi" not in str(caught.value)
    remote_server._faults.clear()
    np.testing.assert_array_equal(raster.read(1, window=WINDOW), pixels[420:670, 300:633])
    np.testing.assert_array_equal(raster.read(1), pixels)
    raster.close()


@pytest.mark.parametrize("kind", ["cut", "status"])
def test_what_passes_within_the_retries_is_not_noticed(cog, kind):
    server, pixels = cog
    raster = open_raster(server.at("B04.tif"))
    server.fail("B04.tif", kind, times=Http.retries)
    np.testing.assert_array_equal(raster.read(1, window=WINDOW), pixels[420:670, 300:633])
    raster.close()


def test_a_failure_while_headers_are_read_is_raised_by_the_next_read(cog, monkeypatch):
    server, pixels = cog
    # so small that the overviews' headers are not in what opening the file fetched
    monkeypatch.setattr(file_module, "BLOCK", 256)
    raster = open_raster(server.at("B04.tif"))
    server.fail("B04.tif", "status", times=1000)
    raster.dataset.overviews(1)
    raster._file._blocks.clear()
    with pytest.raises(RemoteError):
        raster.read(1)
    server._faults.clear()
    np.testing.assert_array_equal(raster.read(1), pixels)
    raster.close()


@pytest.mark.parametrize("status", [404, 403, 503])
def test_opening_what_is_refused_names_the_status(cog, status):
    server, _ = cog
    server.fail("B04.tif", "status", status=status, times=99)
    with pytest.raises(RemoteError, match=f"answered {status}"):
        open_raster(server.at("B04.tif"))


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("kept", [0.9, 0.5, 0.1, 0.001])
def test_a_truncated_file_is_damaged(remote_server, name, kept):
    path = remote_server.folder / name
    put(path, KINDS[name])
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(SceneError) as caught:
        open_raster(remote_server.at(name)).read(1)
    assert not isinstance(caught.value, RemoteError)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"<html>log in</html>", b"II*\0" + b"\0" * 50])
def test_what_is_no_raster_is_damaged(remote_server, content):
    (remote_server.folder / "x.tif").write_bytes(content)
    with pytest.raises(SceneError, match="cannot be opened"):
        open_raster(remote_server.at("x.tif"))


def test_a_host_cannot_make_us_read_our_own_files(remote_server, tmp_path):
    write_raster(tmp_path / "secret.tif", size=16)
    rasterio.shutil.copy(tmp_path / "secret.tif", remote_server.folder / "x.tif", driver="VRT")
    with pytest.raises(SceneError, match="a VRT file; from hosts only GeoTIFF"):
        open_raster(remote_server.at("x.tif"))


def test_a_file_that_changes_while_it_is_read_is_an_error(cog):
    server, _ = cog
    raster = open_raster(server.at("B04.tif"))
    put(server.folder / "B04.tif", "none")
    with pytest.raises(RemoteError, match="changed"):
        raster.read(1)
    raster.close()


def test_signed_addresses_are_signed_again_in_the_middle(cog):
    server, pixels = cog
    server.protected = ("/B04",)
    raster = open_raster(server.at("B04.tif"), server.sas)
    server.revoke()
    np.testing.assert_array_equal(raster.read(1), pixels)
    raster.close()
    assert server.counts["/token"] == 2
    assert "sig" not in raster.href


def test_interrupts_pass_through_the_raster_library(cog, monkeypatch):
    server, _ = cog
    raster = open_raster(server.at("B04.tif"))

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(raster._file, "read_at", interrupted)
    with pytest.raises(KeyboardInterrupt):
        raster.read(1)
    raster.close()


def test_a_raster_that_nobody_closes_is_closed_when_it_is_forgotten(cog):
    server, pixels = cog
    for _ in range(3):
        raster = open_raster(server.at("B04.tif"))
        raster.loop = raster  # so that only the garbage collector finds it
        dataset = raster.dataset
        del raster
        gc.collect()
        assert dataset.closed
        del dataset
        gc.collect()
    np.testing.assert_array_equal(open_raster(server.at("B04.tif")).read(1), pixels)


@pytest.mark.parametrize("name", KINDS)
def test_a_truncated_local_file_is_damaged_however_many_cores_there_are(tmp_path, name, monkeypatch):
    monkeypatch.setenv("GDAL_NUM_THREADS", "4")
    path = tmp_path / name
    put(path, KINDS[name])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(SceneError):
        open_raster(str(path)).read(1)


def test_local_files_are_opened_as_they_are(tmp_path):
    pixels = put(tmp_path / "B04.tif")
    raster = open_raster(str(tmp_path / "B04.tif"))
    np.testing.assert_array_equal(raster.read(1, window=WINDOW), pixels[420:670, 300:633])
    raster.close()
    with pytest.raises(SceneError, match="cannot be opened"):
        open_raster(str(tmp_path / "no.tif"))


def test_a_file_of_this_machine_that_is_another_format_names_no_other_file(tmp_path):
    outside = tmp_path / "outside.tif"
    outside.write_bytes(made("plain.tif")[0])
    source = f"<SimpleSource><SourceFilename>{outside}</SourceFilename></SimpleSource>"
    band = f'<VRTRasterBand dataType="UInt16" band="1">{source}</VRTRasterBand>'
    (tmp_path / "T33TWL_B02.jp2").write_text(f'<VRTDataset rasterXSize="9" rasterYSize="9">{band}</VRTDataset>')
    with pytest.raises(SceneError, match=r"B02\.jp2: a VRT file; only GeoTIFF and JPEG 2000 are read"):
        open_raster(str(tmp_path / "T33TWL_B02.jp2"))
