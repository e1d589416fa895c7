"""The tile catalogue: which tiles a collection has, on which grid, and which of them the source still holds."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from agri_assets.config import Collection
from agri_assets.errors import SceneError, StoreError
from agri_assets.objects import file_of
from agri_assets.progress import track
from agri_assets.remote.address import is_remote
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.identity import guard_identity
from agri_assets.scenes.narrow import narrow
from agri_assets.scenes.source import SceneSource, open_source
from agri_assets.scenes.tile_grid import TILE_EDGE_M
from agri_assets.store.commit import staged
from agri_assets.store.fingerprint import fingerprint
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, Table, run_stage

CODE_VERSION = "2"

ACTIVE, RETIRED = "active", "retired"

_SCHEMA = pa.schema(
    [
        ("tile", pa.string()),
        ("status", pa.string()),
        ("crs", pa.string()),
        *((name, pa.float64()) for name in "abcdef"),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("first_seen", pa.string()),
    ]
)


@dataclass(frozen=True)
class CatalogTile:
    """One tile of the catalogue.

    Attributes:
        tile: MGRS name, zone in two digits.
        active: Whether the source still holds scenes of it; a retired tile keeps its data and counts no more.
        grid: The grid of its cube, land cover and map.
        first_seen: When it was first catalogued (ISO 8601, UTC).
    """

    tile: str
    active: bool
    grid: TileGrid
    first_seen: str = ""


def build_catalog(collection: Collection, paths: CollectionPaths) -> Outcome:
    """List the source's tiles and find the grid of each new one.

    Always looks at the source, since only that can tell whether there is something new; writes when there is.

    Raises:
        SceneError: The source is missing or holds no usable scene.
        IdentityError: Bands, units or kind of source changed over existing data.
    """
    guard_identity(collection, paths)
    source = open_source(collection, paths)
    source.prepare()
    known = {tile.tile: tile for tile in read_catalog(paths)} if paths.catalog.exists() else {}
    tiles, warnings = _survey(source, collection, known, paths)
    if not any(tile.active for tile in tiles):
        raise SceneError(f"collection {collection.name}: {_why_empty(source, warnings)}")
    version = fingerprint(
        code=CODE_VERSION, tiles=[(tile.tile, tile.active, tile.grid) for tile in tiles], warnings=warnings
    )
    return run_stage(
        paths.receipt("tile_catalog"),
        version,
        lambda: _write(tiles, version, warnings, paths.catalog),
        f"{collection.name} tile_catalog",
    )


def read_catalog(paths: CollectionPaths) -> tuple[CatalogTile, ...]:
    """Every tile ever catalogued, in order of name.

    Raises:
        StoreError: There is no catalogue yet.
    """
    if not paths.catalog.exists():
        raise StoreError(f"{paths.catalog}: no such file; {_command(paths, 'tile_catalog')}")
    rows = pq.read_table(file_of(paths.catalog), schema=_SCHEMA).to_pylist()
    return tuple(
        CatalogTile(
            tile=row["tile"],
            active=row["status"] == ACTIVE,
            grid=TileGrid(
                crs=row["crs"],
                transform=(row["a"], row["b"], row["c"], row["d"], row["e"], row["f"]),
                height=row["height"],
                width=row["width"],
            ),
            first_seen=row["first_seen"],
        )
        for row in rows
    )


def catalog_tile(paths: CollectionPaths, tile: str) -> CatalogTile:
    """One active tile.

    Raises:
        StoreError: The catalogue is missing, does not know the tile, or has retired it.
    """
    found = {entry.tile: entry for entry in read_catalog(paths)}.get(tile)
    if found is None:
        raise StoreError(f"tile {tile} is not in {paths.catalog}; {_command(paths, 'tile_catalog')}")
    if not found.active:
        raise StoreError(f"tile {tile} is retired: the source holds no scene of it any more; nothing to do for it")
    return found


def _command(paths: CollectionPaths, asset: str) -> str:
    return f"run `dagster asset materialize -m agri_assets.definitions --select key:{paths.collection}/{asset}`"


def _survey(
    source: SceneSource, collection: Collection, known: dict[str, CatalogTile], paths: CollectionPaths
) -> tuple[list[CatalogTile], tuple[str, ...]]:
    """The catalogue as it should be now, and what people should know about it."""
    found: dict[str, CatalogTile] = {}
    warnings = list(source.strays())
    names = source.tiles()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for tile in track(names, f"{collection.name}: tiles", len(names), "tiles"):
        if before := known.get(tile):
            kept = before.grid if _is_settled(before, paths) else _larger(before.grid, source, tile, collection.bands)
            found[tile] = CatalogTile(tile, True, kept, before.first_seen)
        elif isinstance(grid := _largest_grid(source, tile, collection.bands), TileGrid):
            found[tile] = CatalogTile(tile, True, grid, now)
        else:
            warnings.append(f"{tile}: no usable scene, left out of the catalogue: {grid}")
    for tile, before in known.items():
        found.setdefault(tile, CatalogTile(tile, False, before.grid, before.first_seen))
    return [found[tile] for tile in sorted(found)], tuple(warnings)


def _largest_grid(source: SceneSource, tile: str, bands: tuple[str, ...]) -> TileGrid | str:
    """The grid of the largest of the tile's readable scenes, or why there is none; the first of equals.

    A scene that covers only part of the tile must not make the grid too small for those that cover all of it.
    """
    largest: TileGrid | None = None
    reason = "the source lists none"
    for ref in source.scenes(tile):
        try:
            record = narrow(source.read(ref), bands)
        except SceneError as error:
            reason = str(error)
            continue
        if not all(_on_hand(band.href) for band in record.bands.values()):
            reason = f"{ref.name}: its rasters are not on disk"
            continue
        grid = TileGrid.of(record)
        if largest is None or grid.area > largest.area:
            largest = grid
        if largest.area >= TILE_EDGE_M**2:
            # no scene is larger than the tile: the others need not be read for this
            break
    return largest or reason


def _is_settled(tile: CatalogTile, paths: CollectionPaths) -> bool:
    """Whether a tile's grid stays: its cube is on it, or no scene can be larger."""
    return (paths.cube(tile.tile) / "zarr.json").exists() or tile.grid.area >= TILE_EDGE_M**2


def _larger(before: TileGrid, source: SceneSource, tile: str, bands: tuple[str, ...]) -> TileGrid:
    """The grid of a scene that covers more than those that the tile was catalogued from, else the one of before."""
    grid = _largest_grid(source, tile, bands)
    return grid if isinstance(grid, TileGrid) and grid.area > before.area else before


def _on_hand(href: str) -> bool:
    """Whether a raster is there, as far as can be told without opening it: its file, or the zip that it is in."""
    if is_remote(href):
        return True
    inside = re.match(r"/vsizip/\{([^}]*)\}", href)
    return Path(inside[1] if inside else href).exists()


def _why_empty(source: SceneSource, warnings: tuple[str, ...]) -> str:
    if not warnings:
        return "the source holds no scene of any wanted tile; check its path and tiles in collections.yaml"
    more = f" (and {len(warnings) - 1} more)" if len(warnings) > 1 else ""
    return f"the source holds no usable scene: {warnings[0]}{more}"


def write_catalog(path: Path, tiles: Sequence[CatalogTile]) -> list[dict[str, Any]]:
    """Write the catalogue as a whole; returns its rows."""
    rows = [
        {
            "tile": tile.tile,
            "status": ACTIVE if tile.active else RETIRED,
            "crs": tile.grid.crs,
            **dict(zip("abcdef", tile.grid.transform, strict=True)),
            "height": tile.grid.height,
            "width": tile.grid.width,
            "first_seen": tile.first_seen,
        }
        for tile in tiles
    ]
    with staged(path) as staging:
        pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), staging)
    return rows


def _write(tiles: list[CatalogTile], version: str, warnings: tuple[str, ...], path: Path) -> Outcome:
    rows = write_catalog(path, tiles)
    active = sum(tile.active for tile in tiles)
    shown = tuple({key: row[key] for key in ("tile", "status", "crs", "height", "width", "first_seen")} for row in rows)
    return Outcome(
        path=path,
        fingerprint=version,
        data_version=version,
        summary=f"{active} tiles active, {len(tiles) - active} retired",
        metadata={"active": active, "retired": len(tiles) - active},
        tables={"tiles": Table(rows=shown)},
        warnings=warnings,
    )
