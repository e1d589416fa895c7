"""From a source to the cube: the assets of one collection up to `tile_cube`."""

import logging
import os
from collections.abc import Iterable
from functools import partial

import dagster as dg
from pydantic import Field

from agri_assets.config import Outline
from agri_assets.defs.checks import CHECKSUMS, STAGE_CHECKS, check_specs, checksums_result, shown
from agri_assets.defs.metadata import materialized
from agri_assets.defs.partitions import tile_partitions
from agri_assets.defs.resources import Store
from agri_assets.defs.stages import finish, one_line_failures, run_tile_asset
from agri_assets.defs.upkeep import DATA_OWNERS, HOST_RETRIES, NIGHTLY
from agri_assets.remote.address import provider_of
from agri_assets.store.finding import Finding
from agri_assets.store.receipt import Outcome

logger = logging.getLogger(__name__)


class InventoryConfig(dg.Config):
    """What a run of `raw_scenes` may be asked for."""

    retry_refused: bool = Field(default=False, description="Try scenes again that were refused, changed or not.")


class CubeConfig(dg.Config):
    """What a run of `tile_cube` may be asked for."""

    verify_all: bool = Field(default=False, description="Read the whole cube and compare it with its checksums.")


def pool_of(address: str | None) -> str | None:
    """The pool that all steps share which read from one provider; none for what is on disk."""
    return provider_of(address) if address else None


def retries_of(address: str | None) -> dg.RetryPolicy | None:
    """How steps are tried again that read from another host; what is on disk would be as it was."""
    return HOST_RETRIES if pool_of(address) else None


def finish_cube(
    context: dg.AssetExecutionContext,
    outcome: Outcome,
    written: int,
    config: CubeConfig,
    findings: Iterable[Finding] = (),
) -> dg.MaterializeResult:
    """The result of a cube with its checks; `written` dates are new."""
    key = context.asset_key
    checksums = checksums_result(key, outcome, written, config.verify_all)
    return materialized(outcome, STAGE_CHECKS["tile_cube"].result(key, outcome), checksums, *shown(key, findings))


def scene_assets(collection: str, outline: Outline) -> list[dg.AssetsDefinition]:
    """Catalogue, inventory, land cover and cube of a collection of scenes."""
    source_pool = pool_of(outline.scenes_from)
    partitions = tile_partitions(collection)
    catalog_key, scenes_key, cover_key, cube_key = (
        dg.AssetKey([collection, name]) for name in ("tile_catalog", "raw_scenes", "land_cover", "tile_cube")
    )

    @dg.asset(
        key=catalog_key,
        freshness_policy=NIGHTLY,
        group_name=collection,
        owners=DATA_OWNERS,
        kinds={"parquet"},
        pool=source_pool,
        retry_policy=retries_of(outline.scenes_from),
        check_specs=check_specs(catalog_key, "tile_catalog"),
        description="Lists the source's tiles with their grids and registers them as partitions.",
    )
    def tile_catalog(context: dg.AssetExecutionContext, store: Store) -> dg.MaterializeResult:
        from agri_assets.scenes.catalog import build_catalog, read_catalog

        paths = store.paths(collection)
        with one_line_failures():
            outcome = build_catalog(store.collection(collection), paths)
            tiles = [entry.tile for entry in read_catalog(paths) if entry.active]
        if not os.environ.get("DAGSTER_HOME"):
            logger.warning("DAGSTER_HOME is not set, so the tiles are forgotten when this command ends; export it")
        context.instance.add_dynamic_partitions(str(partitions.name), tiles)
        return finish(context, "tile_catalog", outcome)

    @dg.asset(
        key=scenes_key,
        deps=[catalog_key],
        partitions_def=partitions,
        group_name=collection,
        owners=DATA_OWNERS,
        kinds={"sentinel2"},
        pool=source_pool,
        retry_policy=retries_of(outline.scenes_from),
        check_specs=check_specs(scenes_key, "raw_scenes"),
        description="The tile's inventory: scenes present, superseded and refused, with each one's radiometric record.",
    )
    def raw_scenes(context: dg.AssetExecutionContext, store: Store, config: InventoryConfig) -> dg.MaterializeResult:
        from agri_assets.scenes.inventory import take_inventory

        stage = partial(take_inventory, retry_refused=config.retry_refused)
        return run_tile_asset(context, store, "raw_scenes", stage)

    @dg.asset(
        key=cover_key,
        deps=[catalog_key],
        partitions_def=partitions,
        group_name=collection,
        owners=DATA_OWNERS,
        kinds={"geotiff"},
        pool=pool_of(outline.labels_from),
        retry_policy=retries_of(outline.labels_from),
        check_specs=check_specs(cover_key, "land_cover"),
        description="Land cover or parcels on the tile's own grid.",
    )
    def land_cover(context: dg.AssetExecutionContext, store: Store) -> dg.MaterializeResult:
        from agri_assets.labels.land_cover import build_land_cover

        return run_tile_asset(context, store, "land_cover", build_land_cover)

    @dg.asset(
        key=cube_key,
        freshness_policy=NIGHTLY,
        deps=[scenes_key, cover_key],
        partitions_def=partitions,
        group_name=collection,
        owners=DATA_OWNERS,
        kinds={"zarr", "dask"},
        pool=source_pool,
        retry_policy=retries_of(outline.scenes_from),
        check_specs=check_specs(cube_key, "tile_cube", CHECKSUMS),
        description="The tile's sharded Zarr cube of reflectance and its tile index.",
    )
    def tile_cube(context: dg.AssetExecutionContext, store: Store, config: CubeConfig) -> dg.MaterializeResult:
        from agri_assets.cube.build import build_cube
        from agri_assets.cube.findings import cube_findings
        from agri_assets.splits.band_shift import cube_shift

        settings, paths, tile = store.collection(collection), store.paths(collection), context.partition_key
        with one_line_failures():
            outcome = build_cube(settings, paths, tile)
            findings = *cube_findings(settings, outcome), cube_shift(settings, paths, tile)
            return finish_cube(context, outcome, int(outcome.metadata["dates_built"] or 0), config, findings)

    return [tile_catalog, raw_scenes, land_cover, tile_cube]


def archive_assets(collection: str) -> list[dg.AssetsDefinition]:
    """The cube of a labelled archive."""
    key = dg.AssetKey([collection, "tile_cube"])

    @dg.asset(
        key=key,
        group_name=collection,
        owners=DATA_OWNERS,
        kinds={"zarr"},
        check_specs=check_specs(key, "tile_cube", CHECKSUMS, found=False),
        description="The archive's images in the cube layout, mixed by content, and their tile index.",
    )
    def tile_cube(context: dg.AssetExecutionContext, store: Store, config: CubeConfig) -> dg.MaterializeResult:
        from agri_assets.cube.archive import build_archive_cube

        with one_line_failures():
            outcome = build_archive_cube(store.collection(collection), store.paths(collection))
            return finish_cube(context, outcome, written=1, config=config)

    return [tile_cube]
