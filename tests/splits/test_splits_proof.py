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
from agri_assets.splits import picture, proof
from agri_assets.splits.assign import assign_scenes
from agri_assets.splits.assignments import arrange
from agri_assets.splits.proof import prove_rows, prove_scenes
from agri_assets.splits.settings import SplitSettings

TILE = 32
DIAGONAL = 10 * TILE * math.sqrt(2)


@pytest.fixture(scope="module")
def across_zones(worlds):
    """Three tiles that cover one piece of ground beside 12 degrees east: one in zone 32, two in zone 33."""
    east, north = Transformer.from_crs("EPSG:4326", "EPSG:32632", always_xy=True).transform(12.0, 47.0)
    beside, above = Transformer.from_crs("EPSG:4326", "EPSG:32633", always_xy=True).transform(12.0, 47.0)
    grids = {
        "32TQT": worlds.utm_grid(32, east - 9_000, north + 6_000, 1280),
        "33TUN": worlds.utm_grid(33, beside - 5_000, above + 6_500, 1280),
        "33TTN": worlds.utm_grid(33, beside - 8_000, above + 12_000, 1280),
    }
    frames = [worlds.scene_index(tile, grid, TILE, 7, seed=k) for k, (tile, grid) in enumerate(grids.items())]
    return grids, pd.concat([pd.DataFrame(frame).assign(geometry=frame.geometry.to_wkb()) for frame in frames])


@pytest.fixture(scope="module")
def assigned(across_zones):
    grids, index = across_zones
    index = index.reset_index(drop=True)
    decided = assign_scenes(index, grids, SplitSettings(resolution=7, val=0.25, test=0.25), TILE)
    return index, arrange(index.join(decided))


def prove(index, assignments):
    return prove_scenes(
        prove_rows(assignments, index), DIAGONAL, index.drop_duplicates("tile_id")[["tile", "geometry"]]
    )


def test_zones_are_proved_as_one_ground(assigned):
    index, assignments = assigned
    used = assignments.dropna(subset="split")
    assert set(used["tile"]) == {"32TQT", "33TUN", "33TTN"}
    measured = prove(index, assignments)
    assert all(DIAGONAL * (1 - proof.SCALE_TOLERANCE) <= value < 2 * DIAGONAL for value in measured.values())


def test_without_the_buffer_it_fails(assigned):
    index, assignments = assigned
    near = assignments["reason"] == "near another split"
    roles = assignments.dropna(subset="split").drop_duplicates("cell").set_index("cell")["split"]
    assignments = assignments.assign(split=assignments["split"].where(~near, assignments["cell"].map(roles)))
    with pytest.raises(
        SplitError, match=r"sample \S+ is \d+ m from (val|test) sample \S+, nearer than one tile diagonal"
    ):
        prove(index, assignments)


def test_without_ownership_it_fails(assigned):
    index, assignments = assigned
    doubled = assignments["reason"] == "not owner"
    role = assignments.dropna(subset="split").drop_duplicates("cell").set_index("cell")["split"]
    usable = doubled & assignments["label"].notna() & assignments["cell"].isin(role[role == "train"].index)
    assert usable.any()
    assignments = assignments.assign(split=assignments["split"].where(~usable, "train"))
    with pytest.raises(SplitError, match=r"on ground that tile \S+ owns|tile diagonal"):
        prove(index, assignments)


def test_a_sample_listed_twice_is_refused(assigned):
    index, assignments = assigned
    with pytest.raises(SplitError, match="listed more than once"):
        prove(index, pd.concat([assignments, assignments.iloc[:1]]))


def test_proof_imports_nothing_of_the_assigner():
    source = Path(proof.__file__).read_text()
    for module in ("assign", "nearby", "ownership", "lists"):
        assert f"splits.{module} " not in source
    assert "rasterio" not in source


@pytest.fixture(scope="module")
def across_the_antimeridian(worlds):
    """Two tiles that cover one piece of ground at 180 degrees in the south, one in zone 1 and one in zone 60."""
    grids = {}
    for tile, zone, dx in (("01KAB", 1, -3_000), ("60KXX", 60, -9_000)):
        x, y = Transformer.from_crs("EPSG:4326", f"EPSG:{32700 + zone}", always_xy=True).transform(180.0, -17.0)
        transform = (10.0, 0.0, round(x, -1) + dx, 0.0, -10.0, round(y, -1) + 6_000)
        grids[tile] = TileGrid(crs=f"EPSG:{32700 + zone}", transform=transform, height=1216, width=1216)
    frames = [worlds.scene_index(tile, grid, TILE, 7, seed=k) for k, (tile, grid) in enumerate(grids.items())]
    index = pd.concat(
        [pd.DataFrame(frame).assign(geometry=frame.geometry.to_wkb()) for frame in frames], ignore_index=True
    )
    decided = assign_scenes(index, grids, SplitSettings(resolution=7, val=0.25, test=0.25), TILE)
    return index, arrange(index.join(decided))


def test_tiles_on_both_sides_of_the_antimeridian_are_proved(across_the_antimeridian):
    index, assignments = across_the_antimeridian
    kinds = shapely.get_type_id(shapely.from_wkb(index["geometry"].to_numpy(object)))
    assert (kinds == shapely.GeometryType.MULTIPOLYGON).any()
    used = assignments.dropna(subset="split")
    assert set(used["tile"]) == {"01KAB", "60KXX"}
    measured = prove(index, assignments)
    assert all(DIAGONAL * (1 - proof.SCALE_TOLERANCE) <= value < 2 * DIAGONAL for value in measured.values())


def test_the_antimeridian_hides_nothing(across_the_antimeridian):
    index, assignments = across_the_antimeridian
    near = assignments["reason"] == "near another split"
    beside = index["geometry"].map(
        lambda wkb: np.abs(np.abs(shapely.get_coordinates(shapely.from_wkb(wkb))[:, 0]) - 180).min() < 0.003
    )
    roles = assignments.dropna(subset="split").drop_duplicates("cell").set_index("cell")["split"]
    torn = assignments.assign(split=assignments["split"].where(~(near & beside), assignments["cell"].map(roles)))
    assert (torn["split"].notna() & near).any()
    with pytest.raises(SplitError, match="nearer than one tile diagonal"):
        prove(index, torn)


def test_the_picture_is_not_as_wide_as_the_world(across_the_antimeridian, monkeypatch):
    index, assignments = across_the_antimeridian
    drawn = []
    monkeypatch.setattr(
        picture, "PolyCollection", lambda rings, **style: drawn.extend(rings) or PolyCollection(rings, **style)
    )
    used = assignments.assign(geometry=index["geometry"]).drop_duplicates("tile_id")
    assert picture.split_map(used, "at 180 degrees").startswith(b"\x89PNG")
    corners = np.concatenate(drawn)
    assert np.ptp(corners[:, 0]) < 1
    assert len(drawn) >= len(used)
