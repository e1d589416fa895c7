"""What a split is made from: the tiles that count, their indexes, and the fingerprint of it all."""

from dataclasses import dataclass

import pandas as pd

from agri_assets.config import Collection
from agri_assets.cube.index import read_index
from agri_assets.errors import SplitError, StoreError
from agri_assets.scenes.catalog import read_catalog
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.settings import ArchiveSource
from agri_assets.splits.settings import ROLES, Role
from agri_assets.splits.summary import materialise
from agri_assets.store.fingerprint import fingerprint
from agri_assets.store.layout import ARCHIVE_TILE, CollectionPaths
from agri_assets.store.receipt import read_outcome

CODE_VERSION = "4"


@dataclass(frozen=True)
class SplitInputs:
    """The tiles a split is made from.

    Attributes:
        cubes: Data version of each tile's cube, by tile, in order of tile name.
        grids: The grid of each tile, in the same order; empty for an archive.
        missing: Active tiles of the catalogue that have no whole cube yet.
        fingerprint: Of the data versions and of every setting the split depends on.
    """

    cubes: dict[str, str]
    grids: dict[str, TileGrid]
    missing: tuple[str, ...]
    fingerprint: str


def split_inputs(collection: Collection, paths: CollectionPaths) -> SplitInputs:
    """Find the tiles that count: active in the catalogue, and their cube whole; `archive` for an archive.

    Raises:
        SplitError: No tile has a cube.
    """
    grids: dict[str, TileGrid] = {}
    if not collection.is_archive:
        grids = {item.tile: item.grid for item in read_catalog(paths) if item.active}
    names = sorted(grids) if not collection.is_archive else [ARCHIVE_TILE]
    versions = {name: _cube_version(paths, name) for name in names}
    cubes = {name: version for name, version in versions.items() if version is not None}
    if not cubes:
        tile = names[0] if names else "TILE"
        again = materialise(paths.collection, "tile_cube", tile)
        raise SplitError(f"{paths.receipt('tile_cube', tile)}: no tile has a whole cube; {again}")
    made_from = fingerprint(
        code=CODE_VERSION,
        cubes=cubes,
        split=collection.split,
        bands=collection.bands,
        tile_size=collection.tile_size,
        lists=listed_roles(collection),
    )
    kept = {name: grids[name] for name in cubes if name in grids}
    return SplitInputs(cubes, kept, tuple(name for name in names if name not in cubes), made_from)


def listed_roles(collection: Collection) -> tuple[Role, ...]:
    """The roles of an archive for which a list file is given; none for scenes."""
    source = collection.source
    if not isinstance(source, ArchiveSource):
        return ()
    return tuple(role for role in ROLES if getattr(source, role) is not None)


def read_archive_index(paths: CollectionPaths) -> pd.DataFrame:
    """The tile index of an archive in one table; those of scenes are read in blocks (see `rows`).

    Raises:
        SplitError: It is missing.
    """
    if not paths.tiles(ARCHIVE_TILE).exists():
        raise SplitError(f"{paths.tiles(ARCHIVE_TILE)}: no such file; {materialise(paths.collection, 'tile_cube')}")
    return read_index(paths.tiles(ARCHIVE_TILE))


def _cube_version(paths: CollectionPaths, tile: str) -> str | None:
    try:
        outcome = read_outcome(paths.receipt("tile_cube", tile))
    except StoreError:
        return None
    return outcome.data_version if outcome.whole else None
