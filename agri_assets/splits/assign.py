"""Which split a sample belongs to, by where it lies on the ground, and why some belong to none.

A cell's split is a hash of the seed and the cell's name: the same for every date and for overlapping tiles, and never
changed by other samples. Then a buffer: samples whose footprint is nearer than one tile diagonal to a sample of another
split are dropped, train samples first, then val samples.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from agri_assets.progress import track
from agri_assets.scenes.grid import TileGrid
from agri_assets.splits.assignments import AssignmentWriter
from agri_assets.splits.nearby import near
from agri_assets.splits.ownership import neighbours, owners
from agri_assets.splits.rows import Texts, index_blocks, numbers, texts
from agri_assets.splits.rules import UNUSABLE, cell_fraction, role_of, unusable
from agri_assets.splits.settings import ROLES, Role, SplitSettings
from agri_assets.splits.tile_map import ROLE_CODES, TileMap
from agri_assets.store.layout import CollectionPaths

REASONS = (*UNUSABLE, "not owner", "near another split")
"""Why a sample of scenes is in no split."""

GIVING_WAY: dict[Role, tuple[Role, ...]] = {"train": ("val", "test"), "val": ("test",)}
"""The splits whose samples are dropped near those of others; by where samples lay before any was dropped."""

_DECIDING = ("row", "col", "valid_fraction", "clear_fraction", "ambiguous")


def buffer_distance(grids: Mapping[str, TileGrid], tile_size: int) -> float:
    """One tile diagonal in metres, of the coarsest grid."""
    return math.sqrt(2) * tile_size * max(grid.resolution for grid in grids.values())


def assign_scenes(
    paths: CollectionPaths, grids: Mapping[str, TileGrid], settings: SplitSettings, tile_size: int, file: Path
) -> dict[str, TileMap]:
    """Assign every sample of scenes, tile by tile, and write the assignments in the order of the tile indexes.

    Args:
        paths: The collection's.
        grids: The grid of every tile, in order of name.
        settings: Shares, seed and thresholds.
        tile_size: Edge of a position, in pixels.
        file: Where to write.

    Returns:
        What became of the positions of each tile.
    """
    beside, maps = neighbours(grids, tile_size, buffer_distance(grids, tile_size)), {}
    for tile in track(grids, f"{paths.collection}: ground of the tiles", len(grids), "tiles"):
        maps[tile] = survey(paths, tile, grids, beside[tile], settings, tile_size)
    with AssignmentWriter(file) as writer:
        for tile in track(grids, f"{paths.collection}: assignments", len(grids), "tiles"):
            drop_near(tile, maps, grids, beside[tile], tile_size)
            for block in index_blocks(paths, tile, ("tile_id", "date", "cell", "label", *_DECIDING)):
                writer.write(tile, block, *_decided(block, maps[tile], settings))
    return maps


def survey(
    paths: CollectionPaths,
    tile: str,
    grids: Mapping[str, TileGrid],
    beside: Sequence[str],
    settings: SplitSettings,
    tile_size: int,
) -> TileMap:
    """The role of every position of a tile, whether its ground is the tile's own, and whether it can be used at all."""
    shape = grids[tile].positions(tile_size)
    found, nominal = TileMap.empty(shape), np.full(shape, None, dtype=object)
    for block in index_blocks(paths, tile, ("cell", "owner", "label", *_DECIDING)):
        row, col = (numbers(block, name, np.int32) for name in ("row", "col"))
        found.set_role(row, col, _roles(texts(block, "cell"), settings))
        usable = _unusable(block, settings) < 0
        found.set_usable(row[usable], col[usable])
        owner = texts(block, "owner")
        nominal[row, col] = np.array([*owner.names, None], dtype=object)[owner.codes]
    row, col = np.nonzero(found.role)
    own = owners(tile, (row, col), nominal[row, col], grids, beside, tile_size) == tile
    found.set_owned(row[own], col[own])
    return found


def drop_near(
    tile: str, maps: Mapping[str, TileMap], grids: Mapping[str, TileGrid], beside: Sequence[str], tile_size: int
) -> None:
    """Drop what the buffer takes from a tile: positions of train near val or test, then of val near test."""
    distance, found = buffer_distance(grids, tile_size), maps[tile]
    for ours, others in GIVING_WAY.items():
        around = {other: maps[other].places(*others) for other in (tile, *beside)}
        row, col = found.places(ours)
        dropped = near(tile, (row, col), around, grids, tile_size, distance)
        found.drop(row[dropped], col[dropped])


def _roles(cell: Texts, settings: SplitSettings) -> NDArray[np.uint8]:
    """Code of the role of each row's cell."""
    roles = {
        name: ROLE_CODES[role_of(cell_fraction(settings.seed, name), settings.val, settings.test)]
        for name in cell.names
    }
    return cell.of(roles, 0).astype(np.uint8)


def _unusable(block: pa.RecordBatch, settings: SplitSettings) -> NDArray[np.int32]:
    """Why each row cannot be used by itself, as a place in `REASONS`; -1 where it can."""
    return unusable(
        numbers(block, "valid_fraction", np.float32),
        numbers(block, "clear_fraction", np.float32),
        numbers(block, "ambiguous", np.bool_),
        numbers(block, "label", np.int8, absent=-1) < 0,
        settings,
    )


def _decided(block: pa.RecordBatch, found: TileMap, settings: SplitSettings) -> tuple[Texts, Texts]:
    """Split and reason of each row, one of which is null."""
    row, col = (numbers(block, name, np.int32) for name in ("row", "col"))
    reason = _unusable(block, settings)
    reason[(reason < 0) & found.dropped[row, col]] = REASONS.index("near another split")
    reason[~found.owned[row, col]] = REASONS.index("not owner")
    split = np.where(reason < 0, found.role[row, col].astype(np.int32) - 1, -1)
    return Texts(split, ROLES), Texts(reason, REASONS)
