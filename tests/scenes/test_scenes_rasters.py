import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from agri_assets.errors import SceneError
from agri_assets.scenes.rasters import raster_facts, require_whole


@pytest.fixture
def tiff(tmp_path):
    path = tmp_path / "band.tif"
    pixels = np.random.default_rng(0).integers(0, 9000, (1, 300, 200), dtype=np.uint16)
    place = Affine(10, 0, 500000, 0, -10, 5000000)
    with rasterio.open(
        path, "w", driver="GTiff", height=300, width=200, count=1, dtype="uint16", crs="EPSG:32631", transform=place,
        nodata=0, tiled=True, blockxsize=128, blockysize=128, compress="deflate",
    ) as out:  # fmt: skip
        out.write(pixels)
    return path


def _truncate(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def _open_and_check(path):
    raster_facts(path)
    require_whole(path)


def test_facts_of_a_raster(tiff):
    facts = raster_facts(tiff)
    assert facts.grid.crs == "EPSG:32631"
    assert facts.grid.bounds == (500000, 4997000, 502000, 5000000)
    assert (facts.dtype, facts.nodata) == ("uint16", 0)


def test_whole_rasters_pass(tiff, products):
    require_whole(tiff)
    for raster in products[0].rglob("*.jp2"):
        require_whole(raster)


@pytest.mark.parametrize("share", [0.4, 0.9, 0.999])
def test_truncated_rasters_are_refused(tiff, products, share):
    for path in (tiff, next(products[0].rglob("*_B04_10m.jp2"))):
        _truncate(path, share)
        with pytest.raises(SceneError, match=r"truncated|cannot be opened") as caught:
            _open_and_check(path)
        assert "\n" not in str(caught.value)


def test_a_file_that_is_no_raster_is_refused(tmp_path):
    path = tmp_path / "band.tif"
    path.write_bytes(b"not a raster")
    with pytest.raises(SceneError, match="cannot be opened"):
        raster_facts(path)
    with pytest.raises(SceneError, match="no such file"):
        raster_facts(tmp_path / "absent.tif")
