"""Where things live below the data root: one method or property per output, and nothing else knows a file name."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from agri_assets.errors import StoreError
from agri_assets.objects import ObjectPath

_SAFE_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]*\Z")

ARCHIVE_TILE = "archive"
"""The tile name of collections that are labelled archives."""


@dataclass(frozen=True)
class CollectionPaths:
    """Every path of one collection.

    Attributes:
        root: The data root.
        collection: Name of the collection.
    """

    root: Path
    collection: str

    @property
    def folder(self) -> Path:
        """The collection's own folder."""
        return self.root / _checked(self.collection)

    @property
    def identity(self) -> Path:
        """What the collection is (bands, units, kind of source); changing it over existing data is refused."""
        return self.folder / "identity.json"

    @property
    def catalog(self) -> Path:
        """Tiles, their grids and whether they count."""
        return self.folder / "catalog.parquet"

    @property
    def local(self) -> Path:
        """The collection's folder for what must be files: its own, or one of this machine for object storage."""
        if not isinstance(self.root, ObjectPath):
            return self.folder
        return cache_folder().joinpath(*self.root.parts[1:], _checked(self.collection))

    @property
    def sample_scenes(self) -> Path:
        """Where a `sample` source writes its products unless told otherwise."""
        return self.local / "inbox"

    def downloads(self, tile: str) -> Path:
        """Where the copies of a tile's remote scenes are."""
        return self.local / "scenes" / _checked(tile) / "downloads"

    def scenes(self, tile: str) -> Path:
        """Folder of a tile's inventory."""
        return self.folder / "scenes" / _checked(tile)

    def inventory(self, tile: str) -> Path:
        """Expected, present, superseded and refused scenes of a tile."""
        return self.scenes(tile) / "inventory.json"

    def land_cover(self, tile: str) -> Path:
        """Land cover on the tile's grid."""
        return self.folder / "land_cover" / f"{_checked(tile)}.tif"

    def cube(self, tile: str) -> Path:
        """The tile's Zarr cube."""
        return self.folder / "cube" / f"{_checked(tile)}.zarr"

    def tiles(self, tile: str) -> Path:
        """The tile index: one row per position and date."""
        return self.folder / "tiles" / f"{_checked(tile)}.parquet"

    @property
    def splits(self) -> Path:
        """Folder of the split."""
        return self.folder / "splits"

    @property
    def assignments(self) -> Path:
        """Which sample is in which split, and why not."""
        return self.splits / "assignments.parquet"

    @property
    def split_summary(self) -> Path:
        """Counts, proof, fingerprint and train statistics of the split."""
        return self.splits / "summary.json"

    def model(self, model: str) -> Path:
        """Folder of all runs of a model."""
        return self.folder / "models" / _checked(model)

    def model_run(self, model: str, run: str) -> Path:
        """Folder of one training run."""
        return self.model(model) / _checked(run)

    def report(self, model: str) -> Path:
        """Folder of all reports of a model."""
        return self.folder / "reports" / _checked(model)

    def report_run(self, model: str, run: str) -> Path:
        """Folder of one report."""
        return self.report(model) / _checked(run)

    @property
    def comparison(self) -> Path:
        """Folder of the model comparison."""
        return self.folder / "comparison"

    @property
    def champion(self) -> Path:
        """The champion pointer."""
        return self.folder / "champion.json"

    def bundle(self, model: str, run: str) -> Path:
        """Folder of the portable form of one training run."""
        return self.folder / "bundle" / f"{_checked(model)}-{_checked(run)}"

    def map(self, tile: str) -> Path:
        """The tile's land map."""
        return self.folder / "maps" / f"{_checked(tile)}.tif"

    def receipt(self, asset: str, tile: str | None = None) -> Path:
        """The receipt of an output that is no run folder: what it was made from and what came out."""
        name = f"{_checked(asset)}.json" if tile is None else f"{_checked(asset)}/{_checked(tile)}.json"
        return self.folder / "receipts" / name


def cache_folder() -> Path:
    """Where this machine keeps files for data roots in object storage: `AGRI_CACHE`, or `~/.cache/agri-assets`."""
    named = os.environ.get("AGRI_CACHE")
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return Path(named).expanduser().absolute() if named else home / "agri-assets"


def _checked(name: str) -> str:
    """Refuse names that could leave their folder."""
    if not _SAFE_NAME.match(name) or ".." in name:
        raise StoreError(f"{name!r} cannot be a file name; use letters, digits, '_', '-' and single dots")
    return name
