"""What runs by itself once somebody turns it on: a sensor for new scenes, two schedules, and when splits are due."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from agri_assets.defs.partitions import tile_partitions
from agri_assets.defs.resources import Store
from agri_assets.errors import AgriAssetsError
from agri_assets.store.fingerprint import fingerprint, run_name
from agri_assets.store.layout import CollectionPaths

if TYPE_CHECKING:
    from agri_assets.scenes.arrivals import Arrivals

CATALOG = "tile_catalog"
INGESTED = ("raw_scenes", "land_cover", "tile_cube")
"""What is made anew, tile by tile, when scenes arrive."""

LOOK_EVERY_S = 10

NIGHT, WEEK = "0 2 * * *", "0 4 * * 0"
"""Every night at two; on Sundays at four, when the night's ingest is done."""

_C = dg.AutomationCondition

# the first content of a tile counts for Dagster as no change
_NEW = _C.any_deps_match(_C.data_version_changed() | (~_C.missing()).newly_true())

ON_NEW_DATA = (
    # not `since_last_handled`: what comes while a run is at work would be forgotten when that run ends
    (_NEW | _NEW.since(_C.newly_requested() | _C.initial_evaluation())) & ~_C.any_deps_in_progress() & ~_C.in_progress()
).with_label("on_new_data")
"""When the content of something upstream has changed: not when it was merely run again. That one tile is missing or
broken does not hold up the others."""


def keys(collection: str, *names: str) -> list[dg.AssetKey]:
    """Keys of some assets of a collection."""
    return [dg.AssetKey([collection, name]) for name in names]


@dataclass(frozen=True)
class Automation:
    """What one collection has, all of it stopped until it is turned on.

    Attributes:
        jobs: What can be run by name.
        schedules: What runs by the clock.
        sensors: What runs when something comes.
    """

    jobs: list[Any]
    schedules: list[dg.ScheduleDefinition]
    sensors: list[dg.SensorDefinition]


def automation(collection: str, *, archive: bool) -> Automation:
    """The jobs, schedules and sensors of a collection; an archive has no scenes that could arrive."""
    trained = dg.AssetSelection.assets(*keys(collection, "splits")).downstream()
    if archive:
        training = training_job(collection, trained)
        return Automation([training], [weekly_training(collection, training)], [])
    training = training_job(collection, trained - dg.AssetSelection.assets(*keys(collection, "land_map")))
    ingest = dg.define_asset_job(
        f"{collection}_ingest",
        selection=keys(collection, *INGESTED),
        description="Inventory, land cover and cube of a tile: what changed of them.",
    )
    schedules = [nightly_ingest(collection), weekly_training(collection, training)]
    return Automation([ingest, training], schedules, [new_scenes(collection)])


def training_job(collection: str, trained: dg.AssetSelection) -> Any:
    """Everything behind the cubes but the maps."""
    return dg.define_asset_job(
        f"{collection}_training",
        selection=trained,
        description="Splits, then every model, its report, the comparison and the bundle: what changed of them.",
    )


def weekly_training(collection: str, job: Any) -> dg.ScheduleDefinition:
    """Train and report once a week: what is up to date already takes no time."""
    return dg.ScheduleDefinition(
        name=f"{collection}_weekly_training",
        job=job,
        cron_schedule=WEEK,
        description="Every week: splits, models, reports, comparison and bundle, as far as anything changed.",
    )


def nightly_ingest(collection: str) -> dg.ScheduleDefinition:
    """Look at the source and at every tile each night: also at what was refused since a host did not answer."""

    @dg.schedule(
        name=f"{collection}_nightly_ingest",
        cron_schedule=NIGHT,
        target=dg.AssetSelection.assets(*keys(collection, CATALOG, *INGESTED)),
        description="Every night: the catalogue, then each of its tiles; what did not change takes seconds.",
    )
    def nightly(context: dg.ScheduleEvaluationContext, store: Store) -> list[dg.RunRequest]:
        day = f"{context.scheduled_execution_time:%Y-%m-%d}"
        tiles = _active(store.paths(collection))
        # the catalogue may have been made under another DAGSTER_HOME
        context.instance.add_dynamic_partitions(str(tile_partitions(collection).name), tiles)
        return [catalog_run(collection, day), *(tile_run(collection, tile, day) for tile in tiles)]

    return nightly


def _active(paths: CollectionPaths) -> list[str]:
    """The tiles that count."""
    from agri_assets.scenes.catalog import read_catalog

    return [tile.tile for tile in read_catalog(paths) if tile.active] if paths.catalog.exists() else []


def new_scenes(collection: str) -> dg.SensorDefinition:
    """Ask for a run of each tile whose scenes changed, once they have stopped changing."""
    partitions = tile_partitions(collection)

    @dg.sensor(
        name=f"{collection}_new_scenes",
        target=dg.AssetSelection.assets(*keys(collection, CATALOG, *INGESTED)),
        minimum_interval_seconds=LOOK_EVERY_S,
        description="Lists the source, some tiles at a time; asks for the catalogue where tiles are new, and for the "
        "cube of each tile whose scenes changed and are the same at two looks (so that no copy is read half).",
    )
    def arrivals(context: dg.SensorEvaluationContext, store: Store) -> dg.SensorResult:
        from agri_assets.scenes.arrivals import look_for_arrivals

        cursor: dict[str, Any] = json.loads(context.cursor) if context.cursor else {"after": "", "seen": {}}
        try:
            found = look_for_arrivals(
                store.collection(collection), store.paths(collection), cursor["after"], cursor["seen"]
            )
        except AgriAssetsError as error:
            return dg.SensorResult(skip_reason=str(error))
        requests = requested(collection, found, cursor["seen"])
        tiles = [run.partition_key for run in requests if run.partition_key]
        waiting = f"{len(found.changed)} of them changed: read once they stay the same"
        skipped = f"{found.looked} tiles looked at, {waiting if found.changed else 'nothing to do'}"
        return dg.SensorResult(
            run_requests=requests,
            # the catalogue may have been made under another DAGSTER_HOME
            dynamic_partitions_requests=[partitions.build_add_request(tiles)] if tiles else [],
            skip_reason=None if requests else skipped,
            cursor=json.dumps({"after": found.last, "seen": found.changed}),
        )

    return arrivals


def requested(collection: str, found: "Arrivals", seen: Mapping[str, str]) -> list[dg.RunRequest]:
    """The catalogue where tiles are new, and each tile that is as it was at the last look."""
    runs = [
        tile_run(collection, tile, run_name(version))
        for tile, version in found.changed.items()
        if seen.get(tile) == version
    ]
    if found.unknown:
        runs.append(catalog_run(collection, run_name(fingerprint(tiles=found.unknown))))
    return runs


def catalog_run(collection: str, key: str) -> dg.RunRequest:
    """A run of the catalogue, once for each `key`."""
    return dg.RunRequest(f"{CATALOG}:{key}", asset_selection=keys(collection, CATALOG))


def tile_run(collection: str, tile: str, key: str) -> dg.RunRequest:
    """A run of one tile, once for each `key`."""
    return dg.RunRequest(f"{tile}:{key}", asset_selection=keys(collection, *INGESTED), partition_key=tile)
