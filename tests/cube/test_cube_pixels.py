"""The cube's pixels against the product's own, read independently: every band, every shard, the classification too."""

import numpy as np
import pytest
import rasterio
import zarr

from agri_assets.config import Collection
from agri_assets.cube.build import build_cube
from agri_assets.labels.land_cover import build_land_cover
from agri_assets.scenes.catalog import build_catalog
from agri_assets.scenes.inventory import read_inventory, take_inventory
from agri_assets.store.layout import CollectionPaths

BANDS = ("B02", "B05", "B01")
TILE = "31TCJ"


def expected(href: str, offset: int, size: int) -> np.ndarray:
    """One band as it should stand in the cube: nearest on the finest grid, offset removed, 0 = nodata."""
    with rasterio.open(href) as source:
        values = source.read(1).astype(np.int32)
        factor = round(source.transform.a / 10)
    grown = np.repeat(np.repeat(values, factor, axis=0), factor, axis=1)[:size, :size]
    return np.where(grown == 0, 0, np.maximum(1, grown + offset))


# at 2048 px a whole 20 m band has exactly the shape of one 10 m shard
@pytest.mark.parametrize("size", [1152, 2048])
def test_every_pixel_of_every_band_stands_where_it_should(tmp_path, size):
    source = {"kind": "sample", "tiles": [TILE], "dates": 1, "cloudy_dates": 1, "size": size}
    collection = Collection.model_validate(
        {"name": "sample", "source": source, "bands": BANDS, "labels": {"kind": "worldcover"}}
    )
    paths = CollectionPaths(tmp_path, "sample")
    build_catalog(collection, paths)
    take_inventory(collection, paths, TILE)
    build_land_cover(collection, paths, TILE)
    build_cube(collection, paths, TILE)
    (record,) = read_inventory(paths, TILE).present
    group = zarr.open_group(paths.cube(TILE), mode="r")
    for index, name in enumerate(BANDS):
        band = record.bands[name]
        found = group["reflectance"][0:1, index : index + 1, :, :][0, 0]
        np.testing.assert_array_equal(found, expected(band.href, band.offset, size), err_msg=name)
    assert record.classification is not None
    np.testing.assert_array_equal(group["scl"][0:1, :, :][0], expected(record.classification.href, 0, size))
