import hashlib
import re

import pytest

from agri_assets.errors import SceneError
from agri_assets.scenes.manifest import ManifestFile, read_manifest, verify_file
from agri_assets.scenes.product_files import FolderFiles, open_product


def _write(folder, size, checksum):
    (folder / "manifest.safe").write_text(
        f'<x:XFDU xmlns:x="urn:y"><dataObject><byteStream size="{size}"><fileLocation href="./image.jp2"/>'
        f"{checksum}</byteStream></dataObject></x:XFDU>"
    )


def test_every_sample_file_holds_its_manifest_checksum(products, zipped):
    for path in (products[0], zipped(products[0])):
        with open_product(path) as files:
            manifest = read_manifest(files)
            assert len(manifest) > 13
            for name, expected in manifest.items():
                assert verify_file(files, name, expected), name


@pytest.mark.parametrize(("name", "algorithm"), [("MD5", "md5"), ("SHA3-256", "sha3_256")])
def test_checksums_of_old_and_new_manifests(tmp_path, name, algorithm):
    file = tmp_path / "image.jp2"
    file.write_bytes(b"pixels")
    digest = hashlib.new(algorithm, b"pixels").hexdigest().upper()
    _write(tmp_path, 6, f'<checksum checksumName="{name}">{digest}</checksum>')
    files = FolderFiles(tmp_path)
    expected = read_manifest(files)["image.jp2"]
    assert verify_file(files, "image.jp2", expected)
    file.write_bytes(b"pixelz")
    with pytest.raises(SceneError, match="checksum differs"):
        verify_file(files, "image.jp2", expected)
    file.write_bytes(b"pixel")
    with pytest.raises(SceneError, match=r"5 bytes, manifest\.safe says 6"):
        verify_file(files, "image.jp2", expected)


def test_an_entry_without_a_checksum_proves_nothing(tmp_path):
    files = FolderFiles(tmp_path)
    assert read_manifest(files) == {}
    (tmp_path / "image.jp2").write_bytes(b"pixels")
    assert not verify_file(files, "image.jp2", ManifestFile(6, None, ""))
    _write(tmp_path, 6, '<checksum checksumName="CRC-64">ab</checksum>')
    assert read_manifest(files) == {"image.jp2": ManifestFile(6, None, "ab")}


@pytest.mark.parametrize("size", ["\N{SUPERSCRIPT TWO}", "-", "1e9999", "nan", "9" * 5000])
def test_sizes_that_are_no_numbers_are_refused(tmp_path, size):
    _write(tmp_path, size, "")
    with pytest.raises(SceneError, match="byteStream size is") as caught:
        read_manifest(FolderFiles(tmp_path))
    assert len(str(caught.value)) < 400


def test_a_broken_manifest_is_named(tmp_path):
    (tmp_path / "manifest.safe").write_text("<x>")
    with pytest.raises(SceneError, match=re.escape("manifest.safe: metadata cannot be read")):
        read_manifest(FolderFiles(tmp_path))
