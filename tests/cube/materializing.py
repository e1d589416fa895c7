"""The tile cube of a test's site as Dagster materialises it."""

import tempfile
from pathlib import Path
from typing import Any

import dagster as dg

from agri_assets.config import Collection, Outline
from agri_assets.defs.ingest import scene_assets
from agri_assets.defs.resources import Store
from agri_assets.store.layout import CollectionPaths

TILE = "33TWL"


class SiteStore(Store):
    """The store that an asset gets, on the site."""

    settings: str
    root: str

    def collection(self, name: str) -> Collection:
        return Collection.model_validate_json(self.settings)

    def paths(self, name: str) -> CollectionPaths:
        return CollectionPaths(Path(self.root), name)


def materialize(site: Any, root: Path, fails: bool = False, **config: bool) -> dg.ExecuteInProcessResult:
    """Materialise the tile's cube as Dagster does it."""
    outline = Outline(archive=False, models=())
    assets = scene_assets("scenes", outline)
    store = SiteStore(settings=site.collection.model_dump_json(), root=str(root))
    with tempfile.TemporaryDirectory() as home, dg.DagsterInstance.ephemeral(home) as instance:
        instance.add_dynamic_partitions("scenes_tiles", [TILE])
        return dg.materialize(
            assets,
            selection=[dg.AssetKey(["scenes", "tile_cube"])],
            partition_key=TILE,
            instance=instance,
            resources={"store": store},
            raise_on_error=not fails,
            run_config={"ops": {"scenes__tile_cube": {"config": config}}},
        )
