"""The proof agrees with the assigner where both are right, and sees what the assigner would have to prevent."""

import math
from pathlib import Path

import pandas as pd
import pytest
from pyproj import Transformer

from agri_assets.errors import SplitError
from agri_assets.splits import proof
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
