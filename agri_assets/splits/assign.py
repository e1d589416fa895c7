"""Which split a sample belongs to, by where it lies on the ground, and why some belong to none.

A cell's split is a hash of the seed and the cell's name: the same for every date and for overlapping tiles, and never
changed by other samples. Then a buffer: samples whose footprint is nearer than one tile diagonal to a sample of another
split are dropped, train samples first, then val samples.
"""

import hashlib
import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from agri_assets.scenes.grid import TileGrid
from agri_assets.splits.nearby import near
from agri_assets.splits.ownership import owners
from agri_assets.splits.settings import Role, SplitSettings

HASH_BITS = 53
"""Bits of the hash that are used: as many as a float holds exactly."""

Texts = NDArray[np.object_]

POSITION = ["tile", "row", "col"]


def cell_fraction(seed: int, cell: str) -> float:
    """A number in [0, 1) that depends on the seed and the cell's name alone (SHA-256)."""
    digest = hashlib.sha256(f"{seed}:{cell}".encode()).digest()
    return math.ldexp(int.from_bytes(digest[:8], "big") >> (64 - HASH_BITS), -HASH_BITS)


def role_of(fraction: float, val: float, test: float) -> Role:
    """The split of a hash fraction: `test` below `test`, `val` below `test + val`, else `train`."""
    if fraction < test:
        return "test"
    return "val" if fraction < test + val else "train"


def buffer_distance(grids: Mapping[str, TileGrid], tile_size: int) -> float:
    """One tile diagonal in metres, of the coarsest grid."""
    return math.sqrt(2) * tile_size * max(grid.resolution for grid in grids.values())


def refusals(index: pd.DataFrame, settings: SplitSettings) -> Texts:
    """Why each sample cannot be used by itself: `nodata`, `cloudy`, `ambiguous`, `no label`; "" where it can."""
    conditions = [
        (index["valid_fraction"] < settings.min_valid).to_numpy(bool),
        (index["clear_fraction"] < settings.min_clear).to_numpy(bool),
        index["ambiguous"].to_numpy(bool),
        index["label"].isna().to_numpy(bool),
    ]
    texts = ["nodata", "cloudy", "ambiguous", "no label"]
    return np.select(conditions, texts, default="").astype(object)


def decided(split: Texts, reason: Texts) -> pd.DataFrame:
    """A table of `split` and `reason`, one of which is None in every row: `split` where there is a reason."""
    usable = reason == ""
    columns = {"split": np.where(usable, split, np.array(None)), "reason": np.where(usable, np.array(None), reason)}
    return pd.DataFrame(columns, dtype=object)


def assign_scenes(
    index: pd.DataFrame, grids: Mapping[str, TileGrid], settings: SplitSettings, tile_size: int
) -> pd.DataFrame:
    """Assign every sample of scenes.

    Args:
        index: The tile indexes of all tiles in one table.
        grids: The grid of every tile.
        settings: Shares, seed and thresholds.
        tile_size: Edge of a position, in pixels.

    Returns:
        Columns `split` (None for samples in no split) and `reason` (None for the others), in the order of `index`.
    """
    reason = _not_owned(index, grids, tile_size)
    reason = np.where(reason == "", refusals(index, settings), reason)
    fractions = {cell: cell_fraction(settings.seed, str(cell)) for cell in index["cell"].unique()}
    roles = {cell: role_of(fraction, settings.val, settings.test) for cell, fraction in fractions.items()}
    split, usable = index["cell"].map(roles).to_numpy(object), reason == ""
    positions = index.loc[usable, POSITION].assign(split=split[usable]).drop_duplicates(POSITION)
    dropped = positions[buffered(positions, grids, tile_size)]
    reason[usable & _among(index, dropped)] = "near another split"
    return decided(split, reason)


def buffered(positions: pd.DataFrame, grids: Mapping[str, TileGrid], tile_size: int) -> NDArray[np.bool_]:
    """Which positions the buffer drops: train near val or test, then val near test.

    Args:
        positions: Distinct positions: columns `tile`, `row`, `col`, `split`.
        grids: The grid of every tile.
        tile_size: Edge of a position, in pixels.
    """
    if positions.empty:
        return np.zeros(0, dtype=bool)
    split, distance = positions["split"].to_numpy(object), buffer_distance(grids, tile_size)
    train, val, test = split == "train", split == "val", split == "test"
    dropped = np.zeros(len(positions), dtype=bool)
    dropped[train] = near(positions[train], positions[val | test], grids, tile_size, distance)
    dropped[val] = near(positions[val], positions[test], grids, tile_size, distance)
    return dropped


def _not_owned(index: pd.DataFrame, grids: Mapping[str, TileGrid], tile_size: int) -> Texts:
    """`not owner` for the samples of tiles that do not own the ground they lie on."""
    positions = index[[*POSITION, "owner"]].drop_duplicates(POSITION)
    positions = positions.assign(winner=owners(positions, grids, tile_size))
    lost = positions[positions["winner"] != positions["tile"]]
    return np.where(_among(index, lost), "not owner", "").astype(object)


def _among(index: pd.DataFrame, positions: pd.DataFrame) -> NDArray[np.bool_]:
    """Which samples are at one of these positions."""
    return pd.MultiIndex.from_frame(index[POSITION]).isin(pd.MultiIndex.from_frame(positions[POSITION]))
