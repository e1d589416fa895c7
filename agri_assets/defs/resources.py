"""What a deployment configures: which collections there are, where their outputs lie, and which devices train."""

from pathlib import Path

import dagster as dg
from pydantic import Field

from agri_assets.config import Collection, data_root, load_collections
from agri_assets.store.layout import CollectionPaths


class Store(dg.ConfigurableResource):
    """Configuration file and data root; empty fields follow `AGRI_COLLECTIONS` and `AGRI_DATA_ROOT`."""

    collections_file: str = ""
    data_root: str = ""

    def collection(self, name: str) -> Collection:
        """One collection, expanded and validated."""
        return load_collections(Path(self.collections_file) if self.collections_file else None).collection(name)

    def paths(self, name: str) -> CollectionPaths:
        """Every path of a collection."""
        return CollectionPaths(data_root({"AGRI_DATA_ROOT": self.data_root}) if self.data_root else data_root(), name)


class Devices(dg.ConfigurableResource):
    """The CUDA devices that trainings choose from; empty follows `CUDA_VISIBLE_DEVICES`, which unset means all."""

    visible: str = Field(default="", description="Numbers or UUIDs, as CUDA_VISIBLE_DEVICES has them; `cpu` for none.")

    def environment(self) -> dict[str, str]:
        """What a training's process is told of it."""
        return {"CUDA_VISIBLE_DEVICES": "" if self.visible == "cpu" else self.visible} if self.visible else {}
