import io
import re
import stat
import zipfile

import pytest

from agri_assets.errors import SceneError
from agri_assets.remote.raster import open_raster
from agri_assets.scenes.product_files import open_product
from agri_assets.scenes.safe import read_safe

DIFFERENT = {"source", "location", "bands", "classification", "fingerprint"}


def _same(folder_record, zip_record):
    assert zip_record.source == "safe_zip"
    assert folder_record.model_dump(exclude=DIFFERENT) == zip_record.model_dump(exclude=DIFFERENT)
    for name, band in folder_record.bands.items():
        assert zip_record.bands[name].model_dump(exclude={"href"}) == band.model_dump(exclude={"href"})
        inside = zip_record.bands[name].href.partition("}/")[2]
        assert band.href.endswith(inside[inside.index("GRANULE/") :])


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_reads_as_its_folder_does(products, zipped, method):
    path = zipped(products[0], method=method)
    folder, packed = read_safe(products[0]), read_safe(path)
    _same(folder, packed)
    assert packed.readable
    assert packed.location == str(path)
    inside = open_raster(packed.bands["B02"].href).read()
    assert (inside == open_raster(folder.bands["B02"].href).read()).all()


def test_the_real_products_read_alike_zipped(shared_data, zipped):
    for number, folder in enumerate(sorted((shared_data / "safe_metadata").glob("*MSIL2A*.SAFE"))):
        _same(read_safe(folder), read_safe(zipped(folder, f"{number}.zip")))


def test_a_zip_of_a_level_1c_product_is_refused(shared_data, zipped):
    with pytest.raises(SceneError, match="Level-1C"):
        read_safe(zipped(next((shared_data / "safe_metadata").glob("*MSIL1C*.SAFE"))))


@pytest.mark.parametrize("inside", ["", "renamed", "download/S2A.SAFE"])
def test_the_product_is_found_wherever_the_zip_has_it(products, zipped, inside):
    _same(read_safe(products[0]), read_safe(zipped(products[0], inside=inside)))


@pytest.mark.parametrize("name", ["a b#c?.zip", "100%.zip.tmp", "é&=!,.zip", "no_suffix"])
def test_odd_names_open(products, zipped, name):
    record = read_safe(zipped(products[0], name))
    assert open_raster(record.bands["B05"].href).dataset.width == 192


def test_a_product_in_a_folder_of_its_own_is_found(products, tmp_path):
    outer = tmp_path / "outer"
    outer.mkdir()
    products[0].rename(outer / "unpacked")
    assert read_safe(outer).location == str(outer / "unpacked")


def test_several_products_are_refused(inbox, zipped):
    for path in (inbox, zipped(inbox, inside="")):
        with pytest.raises(SceneError, match="holds 2 products"):
            read_safe(path)


@pytest.mark.parametrize(
    "name", ["../evil.jp2", "S2A.SAFE/../../evil", "/etc/passwd", "a\\..\\b", "C:/x", "a\nb", "x\0y"]
)
def test_names_that_escape_are_refused(products, zipped, name):
    path = zipped(products[0])
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("placeholder")
        info.filename = name
        archive.writestr(info, b"x")
    with pytest.raises(SceneError, match="not to be trusted") as caught:
        read_safe(path)
    assert "\n" not in str(caught.value)


def _add(path, name, content=b"x", **fields):
    info = zipfile.ZipInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(info, content)


def test_links_are_refused(products, zipped):
    path = zipped(products[0])
    _add(path, "link", b"/etc/passwd", external_attr=(stat.S_IFLNK | 0o777) << 16)
    with pytest.raises(SceneError, match="is a link"):
        read_safe(path)


def test_a_name_that_comes_twice_is_refused(products, zipped):
    path = zipped(products[0], inside="a")
    with pytest.warns(UserWarning, match="Duplicate"):
        _add(path, "a/MTD_MSIL2A.xml")
    with pytest.raises(SceneError, match="twice"):
        read_safe(path)


def test_methods_that_rasters_cannot_be_read_through_are_refused(products, zipped):
    with pytest.raises(SceneError, match="zip it again with deflate"):
        read_safe(zipped(products[0], method=zipfile.ZIP_LZMA))


def test_encrypted_members_are_refused(products, zipped):
    path = zipped(products[0], inside="a")
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02")
    content[at + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(SceneError, match="encrypted"):
        read_safe(path)


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.9999])
def test_a_truncated_zip_is_refused(products, zipped, share):
    path = zipped(products[0])
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(SceneError, match=r"damaged or cut off|download it again"):
        read_safe(path)


def test_a_document_that_unfolds_absurdly_is_not_read(products, zipped):
    metadata = products[0] / "MTD_MSIL2A.xml"
    text = metadata.read_text()
    metadata.write_text(text + " " * 5_000_000)
    with pytest.raises(SceneError, match="zip bomb"):
        read_safe(zipped(products[0], method=zipfile.ZIP_DEFLATED))
    metadata.write_text(text + " " * 9_000_000)
    for path in (products[0], zipped(products[0])):
        with pytest.raises(SceneError, match="allowed; not read"):
            read_safe(path)


def test_an_archive_that_unfolds_absurdly_is_not_read(products, zipped):
    (products[0] / "padding").write_bytes(bytes(2**28))
    for raster in products[0].rglob("*.jp2"):
        raster.unlink()
    with pytest.raises(SceneError, match="zip bomb"):
        read_safe(zipped(products[0], method=zipfile.ZIP_DEFLATED))


def test_members_that_overlap_are_refused(products, zipped):
    path = zipped(products[0], inside="a")
    content = bytearray(path.read_bytes())
    # the directory says of its last file that it is larger than the archive
    at = content.rindex(b"PK\x01\x02")
    content[at + 20 : at + 28] = (len(content)).to_bytes(4, "little") * 2
    path.write_bytes(content)
    with pytest.raises(SceneError, match=r"its directory counts|cut off"):
        read_safe(path)


def test_too_many_members_are_refused(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(10_001):
            archive.writestr(str(number), b"")
    path = tmp_path / "many.zip"
    path.write_bytes(buffer.getvalue())
    with pytest.raises(SceneError, match="10001 members"):
        read_safe(path)


def test_braces_in_the_zips_path_are_refused(products, zipped):
    with pytest.raises(SceneError, match="rename it"):
        read_safe(zipped(products[0], "a}b.zip"))


def test_a_file_that_is_no_zip_is_refused(tmp_path):
    path = tmp_path / "product.zip"
    path.write_bytes(b"no zip")
    with pytest.raises(SceneError, match=re.escape(str(path))):
        read_safe(path)


def test_a_zips_fingerprint_follows_it(products, zipped):
    path = zipped(products[0])
    before = read_safe(path).fingerprint
    assert read_safe(path).fingerprint == before
    assert read_safe(zipped(products[0], without=("manifest.safe",))).fingerprint != before


def test_nothing_is_unpacked_or_left_open(products, zipped, tmp_path):
    path = zipped(products[0])
    before = sorted(tmp_path.rglob("*"))
    with open_product(path) as files:
        assert files.exists("MTD_MSIL2A.xml")
        assert not files.exists("absent")
    assert sorted(tmp_path.rglob("*")) == before
