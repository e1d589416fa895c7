"""The proof agrees with the assigner where both are right, and sees what the assigner would have to prevent."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely
from matplotlib.collections import PolyCollection
from pyproj import Transformer

from agri_assets.errors import SplitError
from agri_assets.scenes.grid import TileGrid
from agri_assets.splits import apart, ground, picture, proof, proof_rows, rows, scenes_picture, tally
from agri_assets.splits.assign import assign_scenes
from agri_assets.splits.ground import LocalPlane
from agri_assets.splits.proof import prove_scenes

TILE = 32
DIAGONAL = 10 * TILE * math.sqrt(2)


class Case:
    """A split of made tiles on disk, with its rows in one table to break."""

    def __init__(self, worlds, root, grids):
        self.world = worlds.World(root, grids, split={"resolution": 7, "val": 0.25, "test": 0.25})
        for number, tile in enumerate(grids):
            self.world.write_tile_index(tile, number)
        self.file, paths = root / "made.parquet", self.world.paths
        self.maps = assign_scenes(paths, grids, self.world.collection.split, TILE, self.file)
        self.assignments = pd.read_parquet(self.file)
        self.index = pd.concat([pd.read_parquet(paths.tiles(tile)) for tile in grids], ignore_index=True)
        used = self.assignments.dropna(subset="split").drop_duplicates("cell")
        self.roles = used.set_index("cell")["split"]

    def prove(self, assignments=None):
        """Prove the split, or another one in its place."""
        file = self.file
        if assignments is not None:
            file = self.file.with_name("other.parquet")
            assignments.to_parquet(file, index=False)
        return prove_scenes(file, self.world.paths, sorted(self.world.grids), DIAGONAL)[1]

    def back(self, rows):
        """The assignments with some rows given to the split of their cell."""
        cell = self.assignments["cell"].map(self.roles)
        return self.assignments.assign(split=self.assignments["split"].where(~rows, cell))


@pytest.fixture(scope="module")
def zones(worlds, tmp_path_factory):
    """Three tiles that cover one piece of ground beside 12 degrees east: one in zone 32, two in zone 33."""
    east, north = Transformer.from_crs("EPSG:4326", "EPSG:32632", always_xy=True).transform(12.0, 47.0)
    beside, above = Transformer.from_crs("EPSG:4326", "EPSG:32633", always_xy=True).transform(12.0, 47.0)
    grids = {
        "32TQT": worlds.utm_grid(32, east - 9_000, north + 6_000, 1280),
        "33TTN": worlds.utm_grid(33, beside - 8_000, above + 12_000, 1280),
        "33TUN": worlds.utm_grid(33, beside - 5_000, above + 6_500, 1280),
    }
    return Case(worlds, tmp_path_factory.mktemp("zones"), grids)


def test_zones_are_proved_as_one_ground(zones):
    assert set(zones.assignments.dropna(subset="split")["tile"]) == {"32TQT", "33TUN", "33TTN"}
    measured = zones.prove()
    assert all(DIAGONAL * (1 - apart.SCALE_TOLERANCE) <= value < 2 * DIAGONAL for value in measured.values())


def test_the_least_distances_are_those_of_all_pairs(zones):
    """Against one plane for all tiles, on which every pair is measured."""
    used = zones.index[zones.assignments["split"].notna()].drop_duplicates("tile_id")
    shapes = shapely.from_wkb(used["geometry"].to_numpy(object))
    flat = LocalPlane.around(shapes).project(shapes)
    split = zones.assignments["split"][used.index].to_numpy(object)
    for pair, metres in zones.prove().items():
        one, other = pair.split("/")
        tree = shapely.STRtree(flat[split == other])
        nearest = tree.query_nearest(flat[split == one], return_distance=True)[1].min()
        assert metres == pytest.approx(nearest, abs=0.3)


def test_without_the_buffer_it_fails(zones):
    near = zones.assignments["reason"] == "near another split"
    with pytest.raises(
        SplitError, match=r"sample \S+ is \d+ m from (val|test) sample \S+, nearer than one tile diagonal"
    ):
        zones.prove(zones.back(near))


def test_without_the_buffer_between_two_tiles_it_fails(zones):
    """Each tile keeps its buffer against itself, so that only pairs of two tiles can tell."""
    near = zones.assignments["reason"] == "near another split"
    for tile in zones.world.grids:
        alone = {tile: zones.world.grids[tile]}
        file = zones.file.with_name("alone.parquet")
        assign_scenes(zones.world.paths, alone, zones.world.collection.split, TILE, file)
        kept = set(pd.read_parquet(file).dropna(subset="split")["tile_id"])
        near &= (zones.assignments["tile"] != tile) | zones.assignments["tile_id"].isin(kept)
    assert near.any()
    with pytest.raises(SplitError, match="nearer than one tile diagonal"):
        zones.prove(zones.back(near))


def test_without_ownership_it_fails(zones):
    doubled = zones.assignments["reason"] == "not owner"
    train = zones.roles.index[zones.roles == "train"]
    usable = doubled & zones.assignments["label"].notna() & zones.assignments["cell"].isin(train)
    assert usable.any()
    with pytest.raises(SplitError, match=r"on ground that tile \S+ owns|tile diagonal"):
        zones.prove(zones.back(usable))


def test_rows_that_are_not_those_of_the_indexes_are_refused(zones):
    rows = zones.assignments
    with pytest.raises(SplitError, match="listed more than once"):
        zones.prove(pd.concat([rows, rows.iloc[:1]]))
    with pytest.raises(SplitError, match=r"sample \S+ \S+.*listed twice or out of its order"):
        zones.prove(pd.concat([rows.iloc[:1], rows]))
    with pytest.raises(SplitError, match=r"lacks sample 33TUN_\S+ "):
        zones.prove(rows.iloc[:-1])
    with pytest.raises(SplitError, match="not in the tile index of 32TQT"):
        zones.prove(rows.iloc[1:])
    with pytest.raises(SplitError, match="unknown split"):
        zones.prove(rows.assign(split=rows["split"].where(rows.index != 5, "holdout")))


def test_an_index_that_lists_a_sample_twice_is_refused(zones):
    path = zones.world.paths.tiles("33TTN")
    kept, index = path.read_bytes(), pd.read_parquet(path)
    try:
        pd.concat([index, index.iloc[:1]]).to_parquet(path, index=False)
        both = zones.assignments[zones.assignments["tile"] == "33TTN"]
        others = [zones.assignments[zones.assignments["tile"] == tile] for tile in ("32TQT", "33TUN")]
        with pytest.raises(SplitError, match="listed more than once in the tile indexes"):
            zones.prove(pd.concat([others[0], both, both.iloc[:1], others[1]]))
        index.assign(tile_id=index["tile_id"].shift(2, fill_value="33TTN_r999_c999")).to_parquet(path, index=False)
        named = both.assign(tile_id=both["tile_id"].shift(2, fill_value="33TTN_r999_c999"))
        with pytest.raises(SplitError, match="not by the name of its position"):
            zones.prove(pd.concat([others[0], named, others[1]]))
    finally:
        path.write_bytes(kept)


def test_proof_imports_nothing_of_the_assigner():
    for module in (proof, proof_rows, apart, ground, rows, tally):
        source = Path(module.__file__).read_text()
        for name in ("assign", "nearby", "ownership", "lists", "rules", "tile_map"):
            assert f"splits.{name} " not in source
        assert "rasterio" not in source


@pytest.fixture(scope="module")
def antimeridian(worlds, tmp_path_factory):
    """Two tiles that cover one piece of ground at 180 degrees in the south, one in zone 1 and one in zone 60."""
    grids = {}
    for tile, zone, dx in (("01KAB", 1, -3_000), ("60KXX", 60, -9_000)):
        x, y = Transformer.from_crs("EPSG:4326", f"EPSG:{32700 + zone}", always_xy=True).transform(180.0, -17.0)
        transform = (10.0, 0.0, round(x, -1) + dx, 0.0, -10.0, round(y, -1) + 6_000)
        grids[tile] = TileGrid(crs=f"EPSG:{32700 + zone}", transform=transform, height=1216, width=1216)
    return Case(worlds, tmp_path_factory.mktemp("antimeridian"), grids)


def test_tiles_on_both_sides_of_the_antimeridian_are_proved(antimeridian):
    kinds = shapely.get_type_id(shapely.from_wkb(antimeridian.index["geometry"].to_numpy(object)))
    assert (kinds == shapely.GeometryType.MULTIPOLYGON).any()
    assert set(antimeridian.assignments.dropna(subset="split")["tile"]) == {"01KAB", "60KXX"}
    measured = antimeridian.prove()
    assert all(DIAGONAL * (1 - apart.SCALE_TOLERANCE) <= value < 2 * DIAGONAL for value in measured.values())


def test_the_antimeridian_hides_nothing(antimeridian):
    near = antimeridian.assignments["reason"] == "near another split"
    beside = antimeridian.index["geometry"].map(
        lambda wkb: np.abs(np.abs(shapely.get_coordinates(shapely.from_wkb(wkb))[:, 0]) - 180).min() < 0.003
    )
    torn = antimeridian.back(near & beside)
    assert (torn["split"].notna() & near).any()
    with pytest.raises(SplitError, match="nearer than one tile diagonal"):
        antimeridian.prove(torn)


def test_outlines_that_overlap_are_united_as_well():
    shapes = np.array([shapely.box(0, 0, 2, 1), shapely.box(1, 0, 3, 1)], dtype=object)
    assert ground._union(shapes).area == pytest.approx(3)


def test_the_picture_of_an_archive_is_not_as_wide_as_the_world(antimeridian, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        picture, "PolyCollection", lambda rings, **style: drawn.extend(rings) or PolyCollection(rings, **style)
    )
    used = antimeridian.assignments.assign(geometry=antimeridian.index["geometry"]).drop_duplicates("tile_id")
    assert picture.split_map(used, "at 180 degrees").startswith(b"\x89PNG")
    corners = np.concatenate(drawn)
    assert np.ptp(corners[:, 0]) < 1
    assert len(drawn) >= len(used)


@pytest.mark.parametrize("case", ["zones", "antimeridian"])
def test_the_picture_of_scenes_shows_every_position_where_it_lies(case, request, monkeypatch):
    made, shown = request.getfixturevalue(case), {}

    def keep(drawn, extent, counts, title):
        shown.update(drawn=drawn, extent=extent, counts=counts)
        return finished(drawn, extent, counts, title)

    finished = scenes_picture._picture
    monkeypatch.setattr(scenes_picture, "_picture", keep)
    assert scenes_picture.scenes_map(made.maps, made.world.grids, TILE, "a map").startswith(b"\x89PNG")
    west, east, _, north = shown["extent"]
    assert east - west < 1
    positions = made.assignments.assign(geometry=made.index["geometry"]).sort_values("split").drop_duplicates("tile_id")
    centres = shapely.centroid(shapely.from_wkb(positions["geometry"].to_numpy(object)))
    used = positions["split"].notna().to_numpy() & (np.abs(shapely.get_x(centres)) < 179.9 if case == "zones" else True)
    step = (east - west) / shown["drawn"].shape[1]
    lon = (shapely.get_x(centres[used]) - west) % 360
    col, row = (lon / step).astype(int), ((north - shapely.get_y(centres[used])) / step).astype(int)
    expected = positions["split"][used].map({"train": 2, "val": 3, "test": 4}).to_numpy()
    got = shown["drawn"][np.clip(row, 0, shown["drawn"].shape[0] - 1), np.clip(col, 0, shown["drawn"].shape[1] - 1)]
    # centroids of outlines cut at 180 degrees lie elsewhere
    assert (got == expected).mean() > 0.97
    assert shown["counts"] == positions["split"].fillna("unused").value_counts().to_dict()
