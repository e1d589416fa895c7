"""`defs`: the single place where everything is wired."""

import os
import warnings

import dagster as dg

from agri_assets.config import CollectionsFile, load_collections
from agri_assets.defs.automation import automation
from agri_assets.defs.ingest import archive_assets, scene_assets
from agri_assets.defs.learning import learning_assets
from agri_assets.defs.resources import Devices, Store

# Dagster's own selection parser and Pipes client use parts that Dagster calls beta and preview; we use none.
warnings.filterwarnings("ignore", category=dg.BetaWarning, module=r"dagster\._core\.")
warnings.filterwarnings("ignore", category=dg.PreviewWarning, module=r"dagster\._core\.")

CORES_PER_STEP = 4
"""Steps use every core they find; two at once on few cores only spin for each other's threads."""

PRELOADED = (
    "agri_assets.definitions",
    "agri_assets.labels.land_cover",
    "agri_assets.cube.build",
    "agri_assets.splits.build",
    "agri_assets.evaluation.report",
    "agri_assets.maps.land_map",
)
"""What steps share: without it, each would spend a second on importing pandas, rasterio, Zarr and Matplotlib. Neither
torch nor the object storage's client is among it: their threads do not outlive a fork."""


def step_executor(*preloaded: str) -> dg.ExecutorDefinition:
    """Steps start from a server that has these modules loaded: about half the time of spawning each one."""
    return dg.multiprocess_executor.configured(
        {
            "start_method": {"forkserver": {"preload_modules": list(preloaded)}},
            "max_concurrent": max(1, (os.cpu_count() or 1) // CORES_PER_STEP),
        }
    )


def collection_assets(collections: CollectionsFile, name: str) -> list[dg.AssetsDefinition]:
    """All assets of one collection."""
    outline = collections.outline(name)
    sources = archive_assets(name) if outline.archive else scene_assets(name, outline)
    return [*sources, *learning_assets(name, outline.models, mapped=not outline.archive)]


def build_definitions() -> dg.Definitions:
    """Assets and automation of every collection that `collections.yaml` declares."""
    collections = load_collections()
    automated = [automation(name, archive=collections.outline(name).archive) for name in collections.names]
    return dg.Definitions(
        assets=[asset for name in collections.names for asset in collection_assets(collections, name)],
        jobs=[job for one in automated for job in one.jobs],
        schedules=[schedule for one in automated for schedule in one.schedules],
        sensors=[sensor for one in automated for sensor in one.sensors],
        resources={"store": Store(), "devices": Devices(), "pipes": dg.PipesSubprocessClient()},
        executor=step_executor(*PRELOADED),
    )


defs = build_definitions()
