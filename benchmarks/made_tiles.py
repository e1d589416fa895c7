"""A source of as many tiles as wanted, whose scenes have headers and no pixel, and what an instance knows of them.

    python -m benchmarks.made_tiles FOLDER TILES      writes the source
    python -m benchmarks.made_tiles known             as if its catalogued tiles had been ingested

Every scene is a GeoTIFF of a full-size tile in which no block is written, with its sidecar.
"""

import json
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg
import mgrs
import rasterio
from dagster._core.events import AssetMaterialization, DagsterEvent, DagsterEventType, StepMaterializationData
from dagster._core.events.log import EventLogEntry
from rasterio.transform import Affine

from agri_assets.config import data_root, load_collections
from agri_assets.defs.automation import keys
from agri_assets.scenes.catalog import read_catalog
from agri_assets.scenes.inventory import list_scenes
from agri_assets.scenes.source import open_source
from agri_assets.scenes.tile_grid import SQUARE_M, nominal_grid
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, write_outcome

NAME = "many"
BANDS = ("B04", "B08")
RESOLUTION_M = 10.0
BLOCK = 2048
ZONES, SQUARES, ROWS = range(1, 61), range(2, 8), range(28)
"""UTM zones, and the squares of 100 km that lie wholly in one, from the equator to where zones become too narrow."""


def tile_names(count: int) -> list[str]:
    """Names of `count` tiles north of the equator.

    Raises:
        SystemExit: There are not so many.
    """
    namer = mgrs.MGRS()
    places = [(zone, row, east) for row in ROWS for zone in ZONES for east in SQUARES]
    if count > len(places):
        raise SystemExit(f"{count} tiles are too many; there are {len(places)}")
    chosen = places[:count]
    return [
        str(namer.UTMToMGRS(zone, "N", (east + 0.5) * SQUARE_M, (row + 0.5) * SQUARE_M, MGRSPrecision=0))
        for zone, row, east in chosen
    ]


def write_source(folder: Path, tiles: Sequence[str]) -> None:
    """One scene of each tile: a GeoTIFF without pixels and its sidecar."""
    folder.mkdir(parents=True, exist_ok=True)
    for tile in tiles:
        grid = nominal_grid(tile, RESOLUTION_M)
        shape = {"height": grid.height, "width": grid.width, "count": len(BANDS), "dtype": "uint16", "nodata": 0}
        blocks = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "SPARSE_OK": True}
        place = {"crs": grid.crs, "transform": Affine(*grid.transform)}
        with rasterio.open(folder / f"{tile}.tif", "w", driver="GTiff", **shape, **blocks, **place):
            pass
        said = {
            "sidecar": 1,
            "tile": tile,
            "acquired": "2023-06-11T10:45:40Z",
            "platform": "sentinel-2a",
            "level": "L2A",
            "quantification": 10000,
            "offset": 0,
            "bands": {band: {"file": f"{tile}.tif", "band": number} for number, band in enumerate(BANDS, start=1)},
        }
        (folder / f"{tile}.scene.json").write_text(json.dumps(said))


def know_tiles() -> None:
    """Receipts of inventories that list what the source has, and the event that each tile's cube was materialised."""
    collection, paths = load_collections().collection(NAME), CollectionPaths(data_root(), NAME)
    source = open_source(collection, paths)
    tiles = [tile for tile in read_catalog(paths) if tile.active]
    for tile in tiles:
        version = list_scenes(collection, source, tile.tile, tile.grid).version
        made = Outcome(path=paths.inventory(tile.tile), fingerprint=version, data_version=version, summary="made")
        write_outcome(paths.receipt("raw_scenes", tile.tile), made)
    with dg.DagsterInstance.get() as instance:
        # one by one, through the instance's own method, these take several minutes
        storage = instance.event_log_storage
        with storage.index_transaction() as connection:  # type: ignore[attr-defined]
            for entry in _entries([tile.tile for tile in tiles]):
                statement = storage.prepare_insert_event(entry)  # type: ignore[attr-defined]
                number = connection.execute(statement).inserted_primary_key[0]
                storage._store_asset_event_tags(connection, [entry], [number])  # type: ignore[attr-defined]
                storage._store_asset_event(connection, entry, number)  # type: ignore[attr-defined]


def _entries(tiles: Sequence[str]) -> Iterator[EventLogEntry]:
    (key,) = keys(NAME, "tile_cube")
    for tile in tiles:
        event = DagsterEvent(
            event_type_value=DagsterEventType.ASSET_MATERIALIZATION.value,
            job_name="made",
            event_specific_data=StepMaterializationData(AssetMaterialization(key, partition=tile)),
        )
        yield EventLogEntry(
            user_message="",
            level=logging.INFO,
            job_name="made",
            run_id="",
            error_info=None,
            timestamp=time.time(),
            dagster_event=event,
        )


if __name__ == "__main__":
    if sys.argv[1] == "known":
        know_tiles()
    else:
        write_source(Path(sys.argv[1]), tile_names(int(sys.argv[2])))
