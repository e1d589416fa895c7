"""The tile index as it is written date by date."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from agri_assets.cube import dated_index
from agri_assets.cube.dated_index import DateRows, write_dated_index
from agri_assets.cube.index import DTYPES, read_index
from agri_assets.cube.land_index import scene_positions
from agri_assets.cube.land_shares import LandShares
from agri_assets.cube.schema import CubeInfo
from agri_assets.labels.settings import LandLabels
from agri_assets.scenes.grid import TileGrid

GRID = TileGrid(crs="EPSG:32633", transform=(10.0, 0.0, 499980.0, 0.0, -10.0, 5100000.0), height=300, width=200)
INFO = CubeInfo(
    **{"tile": "33TWL", "bands": ("B02",), "units": "reflectance", "tile_size": 32, "shard_size": 64},
    **{"height": 300, "width": 200, "grid": GRID},
)
COUNT = 9 * 6
DAYS = ("2023-06-01", "2023-06-11", "2023-07-01")


def positions(cropland: np.ndarray | None = None) -> gpd.GeoDataFrame:
    share = np.linspace(0, 1, COUNT, dtype=np.float32) if cropland is None else cropland
    share[7] = np.nan
    names = tuple(None if np.isnan(one) else "Cropland" for one in share)
    return scene_positions(INFO, LandShares(share, share, np.ones_like(share), names), LandLabels(), 6)


def rows(date: str, slot: int) -> DateRows:
    valid, clear = np.random.default_rng(list(date.encode())).random((2, COUNT), dtype=np.float32)
    return DateRows(slot, date, f"S2A {date}", valid, clear)


def write(path, *dates: DateRows, frame: gpd.GeoDataFrame | None = None):
    return write_dated_index(path, positions() if frame is None else frame, dates)


@pytest.mark.parametrize("group_rows", [1, 2 * COUNT, 2**18])
def test_every_date_tells_every_position_and_its_own_figures(tmp_path, monkeypatch, group_rows):
    monkeypatch.setattr(dated_index, "GROUP_ROWS", group_rows)
    path, dates = tmp_path / "x.parquet", [rows(date, slot) for slot, date in enumerate(DAYS)]
    written = write(path, *dates)
    frame, same = gpd.read_parquet(path), positions()
    assert list(frame.columns) == [*DTYPES, "geometry"]
    assert frame.crs.to_epsg() == 4326
    assert {name: str(dtype) for name, dtype in frame.dtypes.items() if name != "geometry"} == DTYPES
    for date in dates:
        found = frame[frame["date"] == date.date].reset_index(drop=True)
        assert set(found["slot"]) == {date.slot}
        assert set(found["scene_id"]) == {date.scene_id}
        assert (found["valid_fraction"] == date.valid).all()
        assert (found["clear_fraction"] == date.clear).all()
        pd.testing.assert_frame_equal(pd.DataFrame(found[same.columns]), pd.DataFrame(same))
        assert written.clear[date.slot] == pytest.approx(date.clear.mean())
    assert read_index(path)[["tile_id", "date"]].duplicated().sum() == 0


def test_a_position_is_stored_once_for_all_dates_of_a_group(tmp_path):
    sizes = []
    for count in (1, 40):
        write(tmp_path / "x.parquet", *(rows(f"2023-{day:05d}", day) for day in range(count)))
        group = pq.read_metadata(tmp_path / "x.parquet").row_group(0)
        columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
        assert columns["geometry"].dictionary_page_offset
        sizes.append(columns["geometry"].total_uncompressed_size)
    assert sizes[1] < 2 * sizes[0]


def test_the_digest_tells_content_and_not_slots_or_groups(tmp_path, monkeypatch):
    path, dates = tmp_path / "x.parquet", [rows(date, slot) for slot, date in enumerate(DAYS)]
    digest = write(path, *dates).digest
    monkeypatch.setattr(dated_index, "GROUP_ROWS", 1)
    assert write(path, *(rows(date, slot + 5) for slot, date in enumerate(DAYS))).digest == digest
    other = rows(DAYS[1], 1)
    other.clear[3] += 0.5
    changed = [
        write(path, *dates[:2]).digest,
        write(path, dates[0], other, dates[2]).digest,
        write(path, *dates, frame=positions(np.zeros(COUNT, np.float32))).digest,
    ]
    assert len({digest, *changed}) == 4


def test_dates_are_gone_through_one_group_after_the_other(tmp_path, monkeypatch):
    monkeypatch.setattr(dated_index, "GROUP_ROWS", COUNT)
    written, groups = [], dated_index._rows

    def many():
        for slot, date in enumerate(DAYS):
            assert len(written) == slot, "the date before was not written yet"
            yield rows(date, slot)

    monkeypatch.setattr(dated_index, "_rows", lambda same, date: written.append(date) or groups(same, date))
    write_dated_index(tmp_path / "x.parquet", positions(), many())


def test_an_interrupted_index_leaves_the_one_before(tmp_path):
    path = tmp_path / "x.parquet"
    write(path, rows(DAYS[0], 0))

    def broken():
        yield rows(DAYS[1], 1)
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write_dated_index(path, positions(), broken())
    assert set(read_index(path)["date"]) == {DAYS[0]}
    assert [file.name for file in tmp_path.iterdir()] == ["x.parquet"]
