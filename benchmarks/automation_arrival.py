"""How long it takes until a scene that has come is in its tile's cube, by the real sensor and daemon, and what ran.

    python -m benchmarks.automation_arrival [TILE ...]

as a module it registers the tiles that are there before, with an inventory each and the cubes of those named.
"""

import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from agri_assets.config import data_root, load_collections
from agri_assets.cube.build import build_cube
from agri_assets.cube.open import cube_info
from agri_assets.defs.automation import CATALOG, INGESTED, keys
from agri_assets.labels.land_cover import build_land_cover
from agri_assets.progress import track
from agri_assets.samples.writer import write_samples
from agri_assets.scenes.catalog import build_catalog, read_catalog
from agri_assets.scenes.inventory import take_inventory
from agri_assets.store.layout import CollectionPaths
from benchmarks.dagster_home import Home, Platform
from benchmarks.made_indexes import nearest_tiles
from benchmarks.scale_dates import derive_product

NAME = "arriving"
SENSOR = f"{NAME}_new_scenes"
SIZE = 128
"""Pixels along one side of a product: four samples of 64, so that a cube's own work is next to nothing."""

WITHIN_S = 300


@dataclass(frozen=True)
class Arrival:
    """What followed from one new product.

    Attributes:
        tile: Its tile.
        cube_after_s: From the moment it lay in the inbox to the end of the step that put it into the cube.
        cube_s: What of it that step took.
        requested_after_s: From that moment to the run's request.
        ran: Every asset and partition that was materialised.
        dates: Dates of the tile's cube.
    """

    tile: str
    cube_after_s: float
    cube_s: float
    requested_after_s: float
    ran: tuple[tuple[str, str], ...]
    dates: int

    @property
    def besides_s(self) -> float:
        """The time that was not the cube's own."""
        return self.cube_after_s - self.cube_s

    @property
    def only_its_own(self) -> bool:
        """Whether inventory, land cover and cube of its tile ran once each, and nothing else."""
        return sorted(self.ran) == sorted((asset, self.tile) for asset in INGESTED)


def arrivals(work: Path, samples: Path, tiles: int, rounds: int) -> list[Arrival]:
    """Register so many tiles of one date, then drop the second date of one after the other into the inbox.

    Each is dropped just after a look, so that it waits for as long as one can.
    """
    names = nearest_tiles(tiles)
    source = samples / f"safe-{tiles}-tiles"
    write_samples(source, names, dates=1, size=SIZE, cloudy_dates=0)
    inbox = work / "inbox"
    shutil.copytree(source, inbox, copy_function=os.link, ignore=shutil.ignore_patterns("land_cover", ".*"))
    home = Home.make(work / "arrival", {NAME: _collection(inbox, source / "land_cover")})
    chosen = [names[len(names) * (2 * number + 1) // (2 * rounds)] for number in range(rounds)]
    home.run("benchmarks.automation_arrival", *chosen)
    products = [derive_product(next(source.glob(f"*_T{tile}_*.SAFE")), work / "outbox", 1) for tile in chosen]
    with home.platform() as platform, dg.DagsterInstance.from_config(str(home.folder / "dagster_home")) as instance:
        platform.start_sensor(SENSOR)
        for _ in range(-(-tiles // 500)):
            _settled(platform)
        return [
            _arrive(home, platform, instance, tile, product, inbox)
            for tile, product in zip(chosen, products, strict=True)
        ]


def _collection(inbox: Path, cover: Path) -> dict[str, object]:
    return {
        "source": {"kind": "safe", "path": str(inbox)},
        "bands": ["B04", "B08"],
        "labels": {"kind": "worldcover", "path": str(cover)},
    }


def _settled(platform: Platform) -> None:
    """Wait for a look that finds nothing to do."""
    tick = platform.tick_after(SENSOR, time.time())
    if "nothing to do" not in tick.said or "still change" in tick.said:
        raise SystemExit(f"{SENSOR} found something before anything came: {tick}")


def _arrive(
    home: Home, platform: Platform, instance: dg.DagsterInstance, tile: str, product: Path, inbox: Path
) -> Arrival:
    _settled(platform)
    product.rename(inbox / product.name)
    came = time.time()
    deadline = time.monotonic() + WITHIN_S
    while not (runs := _finished(instance, came)):
        if time.monotonic() > deadline:
            raise SystemExit(f"{tile}: no run has ended within {WITHIN_S} s")
        time.sleep(0.5)
    steps = {step.step_key: step for run in runs for step in instance.get_run_step_stats(run.dagster_run.run_id)}
    cube = steps[f"{NAME}__tile_cube"]
    if cube.start_time is None or cube.end_time is None:
        raise SystemExit(f"{tile}: the cube was not made; see {home.folder}")
    # another look, for which there must be nothing left to do
    _settled(platform)
    return Arrival(
        tile=tile,
        cube_after_s=cube.end_time - came,
        cube_s=cube.end_time - cube.start_time,
        requested_after_s=min(run.create_timestamp.timestamp() for run in runs) - came,
        ran=tuple(_materialized(instance, came)),
        dates=len(cube_info(home.paths(NAME).cube(tile)).slots),
    )


def _finished(instance: dg.DagsterInstance, since: float) -> Sequence[dg.RunRecord]:
    """The runs of the time since then, once there are some and all have ended."""
    records = [run for run in instance.get_run_records() if run.create_timestamp.timestamp() > since]
    return records if all(run.dagster_run.is_finished for run in records) else []


def _materialized(instance: dg.DagsterInstance, since: float) -> list[tuple[str, str]]:
    found = []
    for key in keys(NAME, CATALOG, *INGESTED):
        wanted = dg.AssetRecordsFilter(asset_key=key, after_timestamp=since)
        for record in instance.fetch_materializations(wanted, limit=1000).records:
            found.append((key.path[-1], record.partition_key or ""))
    return found


def ingest(cubes: Sequence[str]) -> None:
    """Catalogue, register and list every tile; make the cubes of some. Nobody may ask for the others' meanwhile."""
    collection, paths = load_collections().collection(NAME), CollectionPaths(data_root(), NAME)
    build_catalog(collection, paths)
    tiles = [tile.tile for tile in read_catalog(paths)]
    for tile in track(tiles, "tiles", len(tiles), "tiles"):
        take_inventory(collection, paths, tile)
    for tile in cubes:
        build_land_cover(collection, paths, tile)
        build_cube(collection, paths, tile)
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions(f"{NAME}_tiles", tiles)


if __name__ == "__main__":
    ingest(sys.argv[1:])
