"""Assignment: by ground, stable, buffered, and every ground owned once."""

import math

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from agri_assets.scenes.grid import TileGrid
from agri_assets.splits import rows
from agri_assets.splits.assign import assign_scenes, buffer_distance, drop_near
from agri_assets.splits.nearby import near
from agri_assets.splits.ownership import centres, covered_bounds, neighbours, owners
from agri_assets.splits.rules import cell_fraction, role_of
from agri_assets.splits.tile_map import ROLE_CODES, TileMap

TILE = 64


def grid(left: float = 0.0, top: float = 0.0, zone: int = 31, size: int = 640) -> TileGrid:
    transform = (10.0, 0.0, 500_000.0 + left, 0.0, -10.0, 4_900_000.0 + top)
    return TileGrid(crs=f"EPSG:{32600 + zone}", transform=transform, height=size, width=size)


def all_positions(grids: dict[str, TileGrid]) -> pd.DataFrame:
    rows = [
        (tile, row, col)
        for tile, one in grids.items()
        for row in range(one.positions(TILE)[0])
        for col in range(one.positions(TILE)[1])
    ]
    return pd.DataFrame(rows, columns=["tile", "row", "col"])


def places(positions: pd.DataFrame, tile: str) -> tuple[np.ndarray, np.ndarray]:
    own = positions[positions["tile"] == tile]
    return own["row"].to_numpy(np.intp), own["col"].to_numpy(np.intp)


def buffered(positions: pd.DataFrame, grids: dict[str, TileGrid]) -> np.ndarray:
    """Which positions the buffer drops, all of them being usable and their tile's own."""
    maps, dropped = {}, pd.Series(False, index=positions.index)
    for tile, one in grids.items():
        maps[tile] = TileMap.empty(one.positions(TILE))
        row, col = places(positions, tile)
        role = positions.loc[positions["tile"] == tile, "split"].map(ROLE_CODES).to_numpy(np.uint8)
        maps[tile].set_role(row, col, role)
        maps[tile].set_owned(row, col)
        maps[tile].set_usable(row, col)
    beside = neighbours(grids, TILE, buffer_distance(grids, TILE))
    for tile in grids:
        drop_near(tile, maps, grids, beside[tile], TILE)
        dropped[positions["tile"] == tile] = maps[tile].dropped[places(positions, tile)]
    return dropped.to_numpy(bool)


@given(st.integers(0, 10), st.text(min_size=1, max_size=20))
def test_cell_fraction_is_a_share(seed, cell):
    assert 0 <= cell_fraction(seed, cell) < 1
    assert cell_fraction(seed, cell) == cell_fraction(seed, cell)


def test_shares_come_out_as_set():
    roles = pd.Series([role_of(cell_fraction(0, f"cell{k}"), val=0.15, test=0.2) for k in range(20_000)])
    share = roles.value_counts(normalize=True)
    assert share["test"] == pytest.approx(0.2, abs=0.01)
    assert share["val"] == pytest.approx(0.15, abs=0.01)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 640), st.floats(0, 640))
def test_buffer_is_that_of_all_pairs(seed, dx, dy):
    """Against a plain double loop over footprints, for two tiles on grids that do not line up."""
    grids = {"A": grid(), "B": grid(left=4000 + dx, top=dy)}
    positions = all_positions(grids)
    random = np.random.default_rng(seed)
    positions = positions[random.random(len(positions)) < 0.3].reset_index(drop=True)
    positions["split"] = random.choice(["train", "val", "test"], len(positions), p=[0.8, 0.1, 0.1])
    boxes = np.array([shapely.box(*grids[t].position_bounds(r, c, TILE)) for t, r, c in positions.values[:, :3]])
    split = positions["split"].to_numpy()
    close = shapely.distance(boxes[:, None], boxes[None]) < math.sqrt(2) * 640 - 1e-4
    expected = (split == "train") & close[:, split != "train"].any(axis=1)
    expected |= (split == "val") & close[:, split == "test"].any(axis=1)
    assert np.array_equal(buffered(positions, grids), expected)


def test_a_gap_of_exactly_one_diagonal_is_kept():
    grids = {"A": grid()}
    positions = pd.DataFrame({"tile": "A", "row": [0, 2, 1], "col": [0, 2, 3], "split": ["train", "test", "train"]})
    assert buffer_distance(grids, TILE) == pytest.approx(905.0967)
    assert buffered(positions, grids).tolist() == [False, False, True]


def test_near_across_zones_agrees_with_geodesy():
    """Two tiles on either side of 6 degrees east, each in its own zone, which covers the same ground."""
    east = grid(left=-240_000, zone=32)
    left, bottom, right, top = covered_bounds(east, TILE)
    x, y = transform_point((left + right) / 2, (bottom + top) / 2, 32, 31)
    west = grid(left=x - 500_000 - 3200, top=y - 4_900_000 + 3200, zone=31)
    grids = {"W": west, "E": east}
    ours, others = (all_positions({tile: grids[tile]}) for tile in grids)
    found = near("W", places(ours, "W"), {"E": places(others.iloc[[55]], "E")}, grids, TILE, 905.0)
    geod = Geod(ellps="WGS84")
    target = lonlat_centre(east, 5, 5)
    apart = np.array([geod.inv(*lonlat_centre(west, r, c), *target)[2] for _, r, c in ours.values])
    # footprints are at least their diagonal nearer than centres, and at most that
    assert found[apart < 905.0 + 600].all()
    assert not found[apart > 905.0 + 920].any()
    assert found.any()


def test_every_ground_is_owned_once():
    grids = {"31TCJ": grid(), "31TDJ": grid(left=3200 + 170), "31TCH": grid(top=-3000)}
    positions = all_positions(grids)
    for nominal in ("31TDJ", "31TCJ", "99XXX"):
        for name, one in grids.items():
            here = places(positions, name)
            names = np.full(len(here[0]), nominal, dtype=object)
            got = owners(name, here, names, grids, neighbours(grids, TILE)[name], TILE)
            x, y = centres(one, *(positions.loc[positions["tile"] == name, k].to_numpy() for k in ("row", "col")), TILE)
            inside = {
                other: (x >= b[0]) & (x < b[2]) & (y > b[1]) & (y <= b[3])
                for other, b in ((other, covered_bounds(grids[other], TILE)) for other in grids)
            }
            for place in range(len(x)):
                candidates = sorted(other for other in grids if inside[other][place])
                assert got[place] == (nominal if nominal in candidates else candidates[0])


def assigned(world) -> pd.DataFrame:
    """What is assigned, beside the columns of the indexes."""
    file = world.root / "assigned.parquet"
    assign_scenes(world.paths, world.grids, world.collection.split, world.tile_size, file)
    index = pd.concat([pd.read_parquet(world.paths.tiles(tile)) for tile in world.grids], ignore_index=True)
    found = pd.read_parquet(file)
    assert all(np.array_equal(found[name], index[name]) for name in ("tile_id", "date"))
    return index.assign(split=found["split"], reason=found["reason"])


def test_scenes_are_refused_with_their_reason(worlds, tmp_path):
    world = worlds.two_tiles(tmp_path)
    for tile in world.grids:
        world.write_tile_index(tile, 0)
    result, split = assigned(world), world.collection.split
    assert (result["split"].isna() ^ result["reason"].isna()).all()
    usable = result[result["split"].notna()]
    assert usable["label"].notna().all()
    assert (usable["valid_fraction"] >= split.min_valid).all()
    assert (usable["clear_fraction"] >= split.min_clear).all()
    expected = {"ambiguous", "cloudy", "near another split", "nodata", "not owner"}
    assert set(result["reason"].dropna()) == expected


def test_no_sample_changes_sides_when_a_date_is_added(worlds, tmp_path):
    world, results = worlds.two_tiles(tmp_path), []
    for dates in (worlds.DATES[:1], worlds.DATES):
        for tile in world.grids:
            world.write_tile_index(tile, 0, dates)
        results.append(assigned(world).query("date == @worlds.DATES[0]")["split"].to_numpy())
    before, after = results
    both = pd.notna(before) & pd.notna(after)
    assert both.sum() > 100
    assert (before[both] == after[both]).all()


def test_blocks_do_not_show(worlds, tmp_path, monkeypatch):
    """A tile's rows come in blocks of any size, and its neighbours' too."""
    world = worlds.two_tiles(tmp_path)
    for number, tile in enumerate(world.grids):
        world.write_tile_index(tile, number)
    whole = assigned(world)
    monkeypatch.setattr(rows, "BLOCK", 1000)
    assert assigned(world).equals(whole)


def lonlat_centre(one: TileGrid, row: int, col: int) -> tuple[float, float]:
    x, y = centres(one, np.array([row]), np.array([col]), TILE)
    return transform_point(x[0], y[0], int(one.crs[-2:]), None)


def transform_point(x: float, y: float, zone: int, other: int | None) -> tuple[float, float]:
    from pyproj import Transformer

    target = "EPSG:4326" if other is None else f"EPSG:{32600 + other}"
    return Transformer.from_crs(f"EPSG:{32600 + zone}", target, always_xy=True).transform(x, y)
