import shutil
import zipfile

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from agri_assets.errors import RemoteError, SceneError
from agri_assets.remote import client as client_module
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.narrow import narrow
from agri_assets.scenes.record import BandRecord
from agri_assets.scenes.safe import read_safe
from agri_assets.scenes.verify import Verification, verify_scene
from tests.remote.server import RemoteServer

CRS = "EPSG:32631"


def _check(path, bands=("B02", "B05", "B09"), change=None):
    record = narrow(read_safe(path), bands)
    grid = TileGrid.of(record)
    return verify_scene(change(record) if change else record, grid)


def _band(product, name):
    return next(product.rglob(f"*_{name}_*m.jp2"))


def test_every_raster_of_a_whole_product_holds_its_checksum(products, zipped):
    for path in (products[0], zipped(products[0]), zipped(products[0], "d.zip", zipfile.ZIP_DEFLATED)):
        found = _check(path)
        assert found == Verification(4)
        assert found.remark is None


def test_without_a_manifest_a_zips_own_checksums_count_and_a_folder_has_none(products, zipped):
    assert _check(zipped(products[0], without=("manifest.safe",))) == Verification(4)
    (products[0] / "manifest.safe").unlink()
    found = _check(products[0])
    assert (found.checksummed, found.unchecked) == (0, ("B02", "B05", "B09", "SCL"))
    assert found.remark == "bytes of B02, B05, B09, SCL not verified: no manifest.safe"


def test_what_the_manifest_does_not_list_is_said(products):
    path = products[0] / "manifest.safe"
    path.write_text(path.read_text().replace(_band(products[0], "B05").name, "other.jp2"))
    found = _check(products[0])
    assert (found.checksummed, found.unchecked) == (3, ("B05",))
    assert "no checksum in manifest.safe" in found.remark


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("without", [(), ("manifest.safe",)])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_bit_that_flips_in_a_zip_is_found(products, zipped, method, without):
    path = zipped(products[0], method=method, without=without)
    with zipfile.ZipFile(path) as archive:
        info = next(one for one in archive.infolist() if one.filename.endswith("_B05_20m.jp2"))
    content = bytearray(path.read_bytes())
    content[info.header_offset + info.compress_size // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(SceneError, match=r"_B05_20m\.jp2: .*download it again") as caught:
        _check(path)
    assert "\n" not in str(caught.value)


def test_damage_before_zipping_is_found_by_the_manifest(products, zipped):
    _flip(_band(products[0], "B05"))
    for path in (products[0], zipped(products[0])):
        with pytest.raises(SceneError, match=r"_B05_20m\.jp2: checksum differs"):
            _check(path)


def test_a_missing_raster_is_named(products, zipped):
    _band(products[0], "B05").unlink()
    for path in (products[0], zipped(products[0])):
        with pytest.raises(SceneError, match="no such file, looked for as band B05"):
            _check(path)


def test_a_truncated_raster_without_a_manifest_is_refused(products, zipped):
    (products[0] / "manifest.safe").unlink()
    band = _band(products[0], "B05")
    band.write_bytes(band.read_bytes()[:-2])
    with pytest.raises(SceneError, match="truncated"):
        _check(products[0])


def test_a_product_that_vanished_is_refused(products, zipped):
    path = zipped(products[0])
    record = read_safe(path)
    path.unlink()
    with pytest.raises(SceneError, match="no such file"):
        verify_scene(record, TileGrid.of(record))


def test_the_product_must_not_promise_another_pixel_size(products):
    def coarser(record):
        band = record.bands["B05"].model_copy(update={"resolution": 60.0})
        return record.model_copy(update={"bands": {**record.bands, "B05": band}})

    with pytest.raises(SceneError, match=r"B05 is on .* 20 m .*says 60 m"):
        _check(products[0], change=coarser)


@pytest.fixture
def stack(products, tmp_path):
    """A record on a grid of 40 by 40 pixels of 10 m, whose bands are in one file that `write` makes."""
    record = narrow(read_safe(products[0]), ("B02", "B05"))

    def write(shift=(0, 0), size=(40, 40), resolution=10, dtype="uint16", crs=CRS, count=2, **layer):
        path = tmp_path / "stack.tif"
        left, top = 500_000 + shift[1] * 10, 5_000_000 - shift[0] * 10
        place = Affine(resolution, 0, left, 0, -resolution, top)
        with rasterio.open(
            path, "w", driver="GTiff", height=size[0], width=size[1], count=count, dtype=dtype, crs=crs, transform=place
        ) as out:
            out.write(np.ones((count, *size), dtype))
        bands = {
            name: BandRecord(href=str(path), resolution=resolution, index=index, **layer)
            for index, name in enumerate(("B02", "B05"), start=1)
        }
        return record.model_copy(
            update={
                "source": "geotiff",
                "location": str(path),
                "bands": bands,
                "classification": None,
                "crs": CRS,
                "transform": (10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0),
                "shape": (40, 40),
            }
        )

    return write


def test_a_stack_is_opened_once_and_nothing_vouches_for_its_bytes(stack, monkeypatch):
    from agri_assets.scenes import verify as module

    opened = []
    monkeypatch.setattr(module, "open_raster", lambda href, sign: opened.append(href) or _open(href, sign))
    record = stack()
    found = verify_scene(record, TileGrid.of(record))
    assert len(opened) == 1
    assert found == Verification(0, ("B02", "B05"), "the source gives no checksums")


def _open(href, sign):
    from agri_assets.remote.raster import open_raster

    return open_raster(href, sign)


@pytest.mark.parametrize(
    "form",
    [
        {"shift": (10, 5), "size": (20, 20)},  # a part of the tile
        {"shift": (39, 39), "size": (1, 1)},
        {"resolution": 60, "size": (7, 7)},  # reaches beyond by less than a pixel of its own
        {"resolution": 20, "size": (20, 20)},
    ],
)
def test_rasters_that_have_a_place_on_the_tile(stack, form):
    record = stack(**form)
    assert verify_scene(record, TileGrid.of(record)).checksummed == 0


@pytest.mark.parametrize(
    ("form", "match"),
    [
        ({"shift": (0, 1)}, "the tile's grid is"),  # beyond its right edge by a pixel
        ({"shift": (-1, 0)}, "the tile's grid is"),
        ({"shift": (0.5, 0), "size": (20, 20)}, "the tile's grid is"),
        ({"shift": (1000, 1000)}, "the tile's grid is"),
        ({"resolution": 60, "size": (8, 7)}, "the tile's grid is"),
        ({"crs": "EPSG:32632"}, "EPSG:32632"),
        ({"dtype": "float32"}, "B02 is float32, expected uint16"),
        ({"count": 1}, "has 1 bands, B05 should be number 2"),
    ],
)
def test_rasters_that_have_none(stack, form, match):
    record = stack(**form)
    with pytest.raises(SceneError, match=match) as caught:
        verify_scene(record, TileGrid.of(record))
    assert "\n" not in str(caught.value)


def test_a_truncated_stack_is_refused(stack):
    record = stack()
    path = record.bands["B02"].href
    with open(path, "rb") as file:
        content = file.read()
    with open(path, "wb") as file:
        file.write(content[:-100])
    with pytest.raises(SceneError, match=r"truncated|cannot be opened"):
        verify_scene(record, TileGrid.of(record))


def test_a_scene_may_cover_a_part_of_the_tile(stack):
    record = stack(shift=(10, 5), size=(20, 20))
    part = record.model_copy(update={"transform": (10.0, 0.0, 500_050.0, 0.0, -10.0, 4_999_900.0), "shape": (20, 20)})
    assert verify_scene(part, TileGrid.of(record)).checksummed == 0
    elsewhere = record.model_copy(update={"transform": (10.0, 0.0, 500_005.0, 0.0, -10.0, 5_000_000.0)})
    with pytest.raises(SceneError, match="must be on one grid"):
        verify_scene(elsewhere, TileGrid.of(record))


@pytest.fixture
def served(stack, tmp_path):
    """The stack at a host that wants signatures: its file there, and its record."""
    record = stack()
    (tmp_path / "host").mkdir()
    path = shutil.copy(record.bands["B02"].href, tmp_path / "host" / "stack.tif")
    client_module._forget()
    with RemoteServer(tmp_path / "host", protected=("/stack",)) as server:
        where = {"href": server.at("stack.tif"), "sign": server.sas}
        bands = {name: band.model_copy(update=where) for name, band in record.bands.items()}
        yield path, record.model_copy(update={"bands": bands, "source": "stac"})
    client_module._forget()


def test_a_remote_raster_is_known_by_its_header(served):
    _, record = served
    assert verify_scene(record, TileGrid.of(record)) == Verification(0, ("B02", "B05"), "the source gives no checksums")


def test_a_remote_raster_that_ends_early_is_refused(served):
    path, record = served
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SceneError, match=r"truncated at \d+ bytes of \d+") as caught:
        verify_scene(record, TileGrid.of(record))
    assert "sig=" not in str(caught.value)


def test_a_remote_raster_that_is_not_there_is_named(served):
    path, record = served
    path.unlink()
    with pytest.raises(RemoteError, match=r"stack\.tif") as caught:
        verify_scene(record, TileGrid.of(record))
    assert not caught.value.transient
