import numpy as np
import pandas as pd
import pytest
import rasterio

from agri_assets.cube.land_index import label_counts, label_positions
from agri_assets.cube.land_shares import LandShares, read_land_shares
from agri_assets.errors import CubeError
from agri_assets.labels.legend import Legend, worldcover_legend, write_legend
from agri_assets.labels.settings import LandLabels, ParcelLabels, WorldCoverLabels
from agri_assets.scenes.grid import TileGrid

GRID = TileGrid(crs="EPSG:32633", transform=(10.0, 0.0, 499980.0, 0.0, -10.0, 5100000.0), height=100, width=135)
COVER = WorldCoverLabels(kind="worldcover")
PARCELS = ParcelLabels(kind="parcels", path="p.gpkg")
CROPS = Legend(
    kind="parcels", names={1: "track", 2: "beet", 3: "wheat", 254: "outside parcels"}, agricultural=(2, 3), colours={}
)


def write(path, codes, legend=None):
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "crs": GRID.crs, "transform": GRID.transform}
    with rasterio.open(path, "w", height=codes.shape[0], width=codes.shape[1], **profile) as out:
        out.write(codes, 1)
        if legend:
            write_legend(out, legend)
    return path


@pytest.mark.parametrize(("legend", "labels"), [(worldcover_legend((40,)), COVER), (None, COVER), (CROPS, PARCELS)])
def test_shares_are_what_counting_gives(tmp_path, legend, labels):
    known = legend or worldcover_legend((40,))
    codes = np.random.default_rng(0).choice([0, *sorted(known.names)], (100, 135)).astype(np.uint8)
    codes[:32, :32] = 0
    shares = read_land_shares(write(tmp_path / "c.tif", codes, legend), GRID, 32, labels)
    assert len(shares.cropland) == 3 * 4
    assert np.isnan(shares.cropland[0])
    assert np.isnan(shares.purity[0])
    assert (shares.labelled[0], shares.majority[0]) == (0, None)
    for number in range(1, 12):
        row, col = divmod(number, 4)
        block = codes[row * 32 : row * 32 + 32, col * 32 : col * 32 + 32]
        some = block[block > 0]
        present, counts = np.unique(some, return_counts=True)
        assert shares.labelled[number] == pytest.approx(some.size / 1024)
        assert shares.cropland[number] == pytest.approx(np.isin(some, known.agricultural).mean())
        assert shares.purity[number] == pytest.approx(counts.max() / some.size)
        assert shares.majority[number] == known.names[int(present[counts.argmax()])]


def test_a_raster_of_other_labels_is_refused(tmp_path):
    codes = np.ones((100, 135), np.uint8)
    for legend, labels, match in (
        (CROPS, COVER, "made from parcels, not worldcover"),
        (worldcover_legend((40,)), PARCELS, "made from worldcover, not parcels"),
        (None, PARCELS, "no readable legend"),
        (None, COVER, "holds code 1, which its legend does not name"),
    ):
        path = write(tmp_path / "c.tif", codes, legend)
        with pytest.raises(CubeError, match=f"{match}; materialise land_cover again"):
            read_land_shares(path, GRID, 32, labels)
    with pytest.raises(CubeError, match="not on the tile's grid"):
        read_land_shares(write(path, codes[:-1]), GRID, 32, COVER)
    path.unlink()
    with pytest.raises(CubeError, match="cannot be read"):
        read_land_shares(path, GRID, 32, COVER)


def test_what_is_agricultural_in_worldcover_is_the_configurations_to_say(tmp_path):
    codes = np.full((100, 135), 30, np.uint8)
    path = write(tmp_path / "c.tif", codes, worldcover_legend((40,)))
    assert (read_land_shares(path, GRID, 32, COVER).cropland == 0).all()
    grass = COVER.model_copy(update={"agricultural": (30, 40)})
    assert (read_land_shares(path, GRID, 32, grass).cropland == 1).all()


def test_labels_follow_the_thresholds_and_need_enough_pixels():
    cropland = np.array([0.0, 0.2, 0.21, 0.49, 0.5, 1.0, np.nan, 1.0, 0.3], np.float32)
    labelled = np.array([1.0, 0.5, 1.0, 1.0, 1.0, 1.0, 0.0, 0.49, 0.49], np.float32)
    land = LandShares(cropland, cropland, labelled, (None,) * 9)
    label, ambiguous = label_positions(land, LandLabels())
    assert [None if pd.isna(one) else int(one) for one in label] == [0, 0, None, None, 1, 1, None, None, None]
    assert ambiguous.tolist() == [False, False, True, True, False, False, False, False, False]
    label, ambiguous = label_positions(land, LandLabels(min_labelled=0))
    assert ambiguous.tolist() == [False, False, True, True, False, False, False, False, True]
    assert pd.isna(label[6]), "without any class there is no label, however few pixels are asked for"
    counts = {"agricultural": 3, "other": 2, "ambiguous": 3, "unlabelled": 1}
    assert label_counts(pd.DataFrame({"label": label, "ambiguous": ambiguous})) == counts
