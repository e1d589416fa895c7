"""Archives from strangers: what unfolds to gigabytes, names other files, or is named to do harm."""

import io
import re
import zipfile

import numpy as np
import pytest
import rasterio
from PIL import Image

from agri_assets.cube import archive_decode, archive_files
from agri_assets.cube.archive import build_archive_cube
from agri_assets.cube.archive_decode import UnusableImageError, decode
from agri_assets.cube.index import read_index
from agri_assets.errors import ArchiveError
from agri_assets.store.layout import ARCHIVE_TILE


def packed(path, members, *, times=1):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content * times)
    return path


@pytest.fixture
def images(make_png):
    return {f"{name}/{k}.png": make_png(100 * j + k) for j, name in enumerate(["Crop", "Forest"]) for k in range(15)}


def test_a_member_that_unfolds_absurdly_is_not_read(archive, images, tmp_path, monkeypatch):
    monkeypatch.setattr(archive_files, "IMAGE_LIMIT", 2**20)
    path = packed(tmp_path / "a.zip", {**images, "Crop/bomb.png": bytes(2**21)})
    with pytest.raises(ArchiveError, match=r"Crop/bomb\.png: it cannot be read \(2097152 bytes, more than"):
        build_archive_cube(archive.collection(path), archive.paths)
    assert not archive.paths.cube(ARCHIVE_TILE).exists()


def never(*_, **__):
    raise AssertionError("pixels were unfolded")


def test_a_large_picture_is_refused_before_it_is_unfolded(monkeypatch):
    buffer = io.BytesIO()
    Image.new("L", (6000, 6000)).save(buffer, "PNG")
    monkeypatch.setattr(archive_decode.np, "asarray", never)
    with pytest.raises(UnusableImageError, match="it is 6000 by 6000 px, not 64 by 64"):
        decode(buffer.getvalue(), "x.png", 1, 64)


@pytest.mark.parametrize(("size", "count"), [((60_000, 60_000), 3), ((64, 64), 300)])
def test_a_large_tiff_is_refused_before_it_is_unfolded(size, count, monkeypatch):
    shape = {"width": size[0], "height": size[1], "count": count}
    with rasterio.MemoryFile() as memory:
        memory.open(driver="GTiff", dtype="uint8", sparse_ok=True, compress="deflate", tiled=True, **shape).close()
        content = memory.read()
    monkeypatch.setattr(rasterio.io.DatasetReader, "read", never, raising=False)
    with pytest.raises(UnusableImageError, match=r"60000 by 60000 px|300 bands, more than any sample"):
        decode(content, "x.tif", 3, 64)


def test_a_tiff_that_is_another_format_names_no_other_file(tmp_path):
    outside = tmp_path / "outside.tif"
    with rasterio.open(outside, "w", driver="GTiff", width=64, height=64, count=1, dtype="uint8") as file:
        file.write(np.full((1, 64, 64), 77, dtype=np.uint8))
    source = f"<SimpleSource><SourceFilename>{outside}</SourceFilename></SimpleSource>"
    band = f'<VRTRasterBand dataType="Byte" band="1">{source}</VRTRasterBand>'
    content = f'<VRTDataset rasterXSize="64" rasterYSize="64">{band}</VRTDataset>'.encode()
    with pytest.raises(UnusableImageError, match="cannot be decoded"):
        decode(content, "x.tif", 1, 64)


@pytest.mark.parametrize("name", ["../../Crop", "/etc/Crop", "Crop/..", "/"])
def test_names_that_lead_out_are_refused(archive, images, tmp_path, name):
    path = packed(tmp_path / "a.zip", {**images, f"{name}/evil.png": images["Crop/0.png"]})
    with pytest.raises(ArchiveError, match=r"a\.zip: member '.*evil\.png' leads out of its folder; not to be trusted"):
        build_archive_cube(archive.collection(path), archive.paths)
    assert not list(tmp_path.rglob("evil*"))


def test_a_class_that_is_called_like_a_script_stays_a_name(archive, images, tmp_path):
    renamed = {re.sub("^Forest", "<script>alert(1)<", name): content for name, content in images.items()}
    build_archive_cube(archive.collection(packed(tmp_path / "a.zip", renamed)), archive.paths)
    assert set(read_index(archive.paths.tiles(ARCHIVE_TILE))["class_name"]) == {"Crop", "<script>alert(1)<"}
