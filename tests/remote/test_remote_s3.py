"""S3 addresses, against a server that speaks as much of it as reading needs."""

import logging
import os

import numpy as np
import pytest
import rasterio

from agri_assets.errors import RemoteError
from agri_assets.remote.client import client
from agri_assets.remote.download import download
from agri_assets.remote.raster import open_raster

CONTENT = bytes(range(256)) * 400


@pytest.fixture
def bucket(remote_server, monkeypatch):
    """The server as an S3 endpoint with the bucket `bucket`."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", remote_server.url)
    monkeypatch.setenv("AWS_NO_SIGN_REQUEST", "YES")
    folder = remote_server.folder / "bucket"
    folder.mkdir()
    (folder / "f.bin").write_bytes(CONTENT)
    (folder / "f.json").write_text('{"a": 1}')
    return remote_server


def test_parts_documents_and_sizes_are_read(bucket):
    assert client().read("s3://bucket/f.bin", 10, 500) == CONTENT[10:500]
    assert client().read("s3://bucket/f.bin", len(CONTENT) - 5, len(CONTENT) + 9) == CONTENT[-5:]
    assert client().size("s3://bucket/f.bin") == len(CONTENT)
    assert client().json("s3://bucket/f.json") == {"a": 1}
    assert client().exists("s3://bucket/f.bin")
    assert not client().exists("s3://bucket/g.bin")


@pytest.mark.parametrize("kind", ["status", "cut"])
def test_what_may_pass_is_tried_again(bucket, kind):
    bucket.fail("bucket/f.bin", kind, times=2)
    assert client().read("s3://bucket/f.bin", 0, 5000) == CONTENT[:5000]
    assert bucket.counts["/bucket/f.bin"] == 3


@pytest.mark.parametrize(("status", "transient"), [(404, False), (403, False), (503, True), (301, False)])
def test_errors_are_one_line(bucket, status, transient):
    bucket.fail("bucket/f.bin", "status", status=status, times=99)
    with pytest.raises(RemoteError, match=r"^s3://bucket/f\.bin:") as caught:
        client().read("s3://bucket/f.bin", 0, 5)
    assert caught.value.transient is transient
    assert "\n" not in str(caught.value)


def test_a_body_that_is_always_cut_and_a_range_beyond_the_end_are_errors(bucket):
    bucket.fail("bucket/f.bin", "cut", times=99)
    with pytest.raises(RemoteError) as caught:
        client().read("s3://bucket/f.bin", 0, 5000)
    assert caught.value.transient
    bucket._faults.clear()
    with pytest.raises(RemoteError) as caught:
        client().read("s3://bucket/f.bin", len(CONTENT), len(CONTENT) + 5)
    assert not caught.value.transient


def test_a_missing_endpoint_is_a_passing_error(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_NO_SIGN_REQUEST", "YES")
    with pytest.raises(RemoteError) as caught:
        client().size("s3://bucket/f.bin")
    assert caught.value.transient


def test_credentials_are_in_no_message_and_no_log(bucket, monkeypatch, caplog):
    monkeypatch.delenv("AWS_NO_SIGN_REQUEST")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "plantedkey")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "plantedsecret")
    bucket.fail("bucket/f.bin", "status", status=403, times=99)
    with caplog.at_level(logging.DEBUG), pytest.raises(RemoteError) as caught:
        client().read("s3://bucket/f.bin", 0, 5)
    assert "planted" not in f"{caught.value}{caplog.text}"


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_says_that_it_cannot_read(bucket):
    client().size("s3://bucket/f.bin")
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            client().size("s3://bucket/f.bin")
        except RemoteError as error:
            os.write(writer, str(error).encode())
        os._exit(0)
    os.wait()
    assert b"forkserver" in os.read(reader, 1000)
    os.close(reader)
    os.close(writer)


def test_rasters_and_downloads_come_from_s3(bucket, tmp_path):
    pixels = np.arange(512 * 512, dtype="uint16").reshape(512, 512)
    grid = rasterio.transform.from_origin(300000, 4900020, 10, 10)
    with rasterio.open(
        bucket.folder / "bucket/x.tif", "w", "COG", 512, 512, 1, "EPSG:32633", grid, "uint16", blocksize=128
    ) as dataset:
        dataset.write(pixels, 1)
    raster = open_raster("s3://bucket/x.tif")
    np.testing.assert_array_equal(raster.read(1), pixels)
    raster.close()
    copied = download("s3://bucket/f.bin", tmp_path / "f.bin", size=len(CONTENT))
    assert copied.read_bytes() == CONTENT
