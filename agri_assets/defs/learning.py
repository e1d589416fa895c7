"""From the cube to a champion and maps: splits, models, reports, comparison, bundle and land map of one collection."""

import dagster as dg

from agri_assets.config import Collection
from agri_assets.defs.automation import ON_NEW_DATA
from agri_assets.defs.checks import check_specs
from agri_assets.defs.partitions import tile_partitions
from agri_assets.defs.resources import Devices, Store
from agri_assets.defs.stages import finish, one_line_failures, run_stage_asset, run_tile_asset
from agri_assets.defs.trainer import launch_training
from agri_assets.defs.upkeep import MODEL_OWNERS, WEEKLY, cluster_tags
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome
from agri_assets.training.recipe import ModelName

FRAMEWORKS: dict[ModelName, str] = {"resnet50": "keras", "efficientnet_b3": "pytorch", "cnn_vit_hybrid": "pytorch"}
"""Kind shown on each model asset."""

GPU_POOL = "gpu"
"""Pool with one slot per device: trainings wait for each other."""


def splits_asset(collection: str) -> dg.AssetsDefinition:
    """Train, val and test by ground cell, with the proof that they are disjoint."""
    key, cube_key = dg.AssetKey([collection, "splits"]), dg.AssetKey([collection, "tile_cube"])

    @dg.asset(
        key=key,
        deps=[cube_key],
        automation_condition=ON_NEW_DATA,
        group_name=collection,
        owners=MODEL_OWNERS,
        kinds={"parquet"},
        check_specs=check_specs(key, "splits"),
        description="Every sample in train, val, test or none (with the reason), by ground cell, and the proof.",
    )
    def splits(context: dg.AssetExecutionContext, store: Store) -> dg.MaterializeResult:
        from agri_assets.splits.build import build_splits
        from agri_assets.splits.findings import split_findings

        return run_stage_asset(context, store, "splits", build_splits, split_findings)

    return splits


def model_asset(collection: str, model: ModelName) -> dg.AssetsDefinition:
    """One trained model: its checkpoint, contract and training record."""
    key = dg.AssetKey([collection, model])

    @dg.asset(
        key=key,
        deps=[dg.AssetKey([collection, "splits"])],
        group_name=collection,
        owners=MODEL_OWNERS,
        kinds={FRAMEWORKS[model]},
        pool=GPU_POOL,
        op_tags=cluster_tags(),
        check_specs=check_specs(key, "model"),
        retry_policy=dg.RetryPolicy(max_retries=2, delay=10, backoff=dg.Backoff.EXPONENTIAL),
        description="Trained by its recipe in a process of its own; a retry resumes from the last checkpoint.",
    )
    def trained(
        context: dg.AssetExecutionContext, store: Store, devices: Devices, pipes: dg.PipesSubprocessClient
    ) -> dg.MaterializeResult:
        from agri_assets.splits.summary import read_summary
        from agri_assets.training.findings import model_findings

        outcome = launch_training(context, store, devices, pipes, collection, model)
        with one_line_failures():
            settings, split = store.collection(collection), read_summary(store.paths(collection))
            return finish(context, "model", outcome, model_findings(settings, split, outcome))

    return trained


def report_asset(collection: str, model: ModelName) -> dg.AssetsDefinition:
    """One model's report on the test split."""
    key = dg.AssetKey([collection, f"{model}_report"])

    @dg.asset(
        key=key,
        deps=[dg.AssetKey([collection, model])],
        group_name=collection,
        owners=MODEL_OWNERS,
        kinds={"html"},
        check_specs=check_specs(key, "report"),
        description="Stored predictions, metrics with intervals, curves and a self-contained HTML report.",
    )
    def report(context: dg.AssetExecutionContext, store: Store) -> dg.MaterializeResult:
        from agri_assets.evaluation.findings import report_findings
        from agri_assets.evaluation.report import build_report

        def stage(settings: Collection, paths: CollectionPaths) -> Outcome:
            return build_report(settings, paths, model)

        return run_stage_asset(context, store, "report", stage, report_findings)

    return report


def comparison_asset(collection: str, models: tuple[ModelName, ...]) -> dg.AssetsDefinition:
    """All models side by side, and the champion pointer."""
    key = dg.AssetKey([collection, "model_comparison"])

    @dg.asset(
        key=key,
        deps=[dg.AssetKey([collection, f"{model}_report"]) for model in models],
        freshness_policy=WEEKLY,
        group_name=collection,
        owners=MODEL_OWNERS,
        kinds={"html"},
        check_specs=check_specs(key, "model_comparison"),
        description="Compares the reports on the same tiles and moves the champion pointer if its rule passes.",
    )
    def model_comparison(context: dg.AssetExecutionContext, store: Store) -> dg.MaterializeResult:
        from agri_assets.evaluation.comparison import compare_models
        from agri_assets.evaluation.findings import comparison_findings

        return run_stage_asset(context, store, "model_comparison", compare_models, comparison_findings)

    return model_comparison


def bundle_asset(collection: str) -> dg.AssetsDefinition:
    """The champion as a folder that runs anywhere."""
    key = dg.AssetKey([collection, "bundle"])

    @dg.asset(
        key=key,
        deps=[dg.AssetKey([collection, "model_comparison"])],
        group_name=collection,
        owners=MODEL_OWNERS,
        kinds={"onnx"},
        check_specs=check_specs(key, "bundle"),
        description="The champion as a folder for `agri-assets predict`: weights, ONNX (float32 and 8-bit), contract "
        "and card; refused unless it gives the stored predictions.",
    )
    def bundle(context: dg.AssetExecutionContext, store: Store) -> dg.MaterializeResult:
        from agri_assets.bundle.build import build_bundle

        return run_stage_asset(context, store, "bundle", build_bundle)

    return bundle


def map_asset(collection: str) -> dg.AssetsDefinition:
    """The champion's wall-to-wall map of a tile."""
    key = dg.AssetKey([collection, "land_map"])

    @dg.asset(
        key=key,
        deps=[dg.AssetKey([collection, name]) for name in ("model_comparison", "tile_cube")],
        partitions_def=tile_partitions(collection),
        group_name=collection,
        owners=MODEL_OWNERS,
        kinds={"geotiff"},
        check_specs=check_specs(key, "land_map"),
        description="The champion's prediction for every position of the tile, as a Cloud-Optimised GeoTIFF.",
    )
    def land_map(context: dg.AssetExecutionContext, store: Store) -> dg.MaterializeResult:
        from agri_assets.maps.findings import map_findings
        from agri_assets.maps.land_map import build_map

        return run_tile_asset(context, store, "land_map", build_map, map_findings)

    return land_map


def learning_assets(collection: str, models: tuple[ModelName, ...], *, mapped: bool) -> list[dg.AssetsDefinition]:
    """Everything downstream of the cube; archives have no ground to map."""
    assets = [splits_asset(collection)]
    assets += [model_asset(collection, model) for model in models]
    assets += [report_asset(collection, model) for model in models]
    assets += [comparison_asset(collection, models), bundle_asset(collection)]
    return [*assets, map_asset(collection)] if mapped else assets
