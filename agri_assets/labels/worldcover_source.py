"""WorldCover as the land cover of one tile."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from rasterio.windows import Window

from agri_assets.config import Collection
from agri_assets.errors import LabelError
from agri_assets.labels.cover import Codes, Cover
from agri_assets.labels.legend import Legend, worldcover_legend
from agri_assets.labels.settings import WorldCoverLabels
from agri_assets.labels.worldcover_read import lay, open_sheet
from agri_assets.labels.worldcover_sheets import Sheets, find_sheets
from agri_assets.scenes.grid import TileGrid
from agri_assets.store.layout import CollectionPaths


@dataclass(frozen=True)
class WorldCoverSource:
    """The WorldCover files over one tile.

    Attributes:
        grid: The tile's grid.
        sheets: The files.
        legend: With the codes that the collection counts as agricultural.
    """

    grid: TileGrid
    sheets: Sheets
    legend: Legend

    @classmethod
    def of(cls, collection: Collection, paths: CollectionPaths, tile: str, grid: TileGrid) -> "WorldCoverSource":
        """Find the files over a tile.

        Raises:
            LabelError: The collection has no land cover, or none of its files lies over the tile.
            RemoteError: A host does not answer.
        """
        labels = collection.labels
        if not isinstance(labels, WorldCoverLabels):
            raise LabelError(f"collection {collection.name} is labelled by its class folders; it has no land cover")
        try:
            sheets = find_sheets(collection, paths, labels, grid)
        except LabelError as error:
            raise LabelError(f"tile {tile}: {error}") from None
        return cls(grid, sheets, worldcover_legend(labels.agricultural))

    @property
    def inputs(self) -> dict[str, Any]:
        """The files' stamps, what is told of their choice, and what counts as agricultural."""
        return {
            "files": [sheet.stamp for sheet in self.sheets.found],
            "notes": self.sheets.notes,
            "agricultural": sorted(self.legend.agricultural),
        }

    @contextmanager
    def open(self) -> Iterator[Cover]:
        """Open the files; where they overlap, the first in order counts."""
        with ExitStack() as stack:
            rasters = [stack.enter_context(open_sheet(sheet.href, sheet.sign)) for sheet in self.sheets.found]

            def read(window: Window) -> Codes:
                codes = np.zeros((int(window.height), int(window.width)), np.uint8)
                for raster in reversed(rasters):
                    lay(raster, self.grid, window, codes)
                return codes

            names = ", ".join(sheet.name for sheet in self.sheets.found)
            yield Cover(names, self.legend, read, {"files": names}, self.sheets.notes)
