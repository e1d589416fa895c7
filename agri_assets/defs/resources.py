"""The store as a resource: which collections there are, and where their outputs lie."""

from pathlib import Path

import dagster as dg

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
