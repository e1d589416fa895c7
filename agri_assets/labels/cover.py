"""Land cover as the stage sees it, whatever it is made from: a legend, and codes for any window of the tile's grid."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from agri_assets.labels.legend import Legend
from agri_assets.scenes.grid import TileGrid
from agri_assets.store.receipt import Scalar

BLOCK = 1024
"""Edge of the blocks that land cover is made in, in pixels: a full tile never is in memory at once."""

Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class Cover:
    """Land cover over one tile, open for reading.

    Attributes:
        origin: What it comes from, for messages.
        legend: What its codes mean.
        read: The codes of a window of the tile's grid, (rows, columns), 0 where there is no class.
        metadata: Further figures for people.
        warnings: What people must be told.
    """

    origin: str
    legend: Legend
    read: Callable[[Window], Codes]
    metadata: dict[str, Scalar] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class LandSource(Protocol):
    """Where the land cover of one tile comes from."""

    @property
    def inputs(self) -> dict[str, Any]:
        """What the land cover is made from, for its fingerprint; nothing large is read for it."""

    def open(self) -> AbstractContextManager[Cover]:
        """Read what is needed, and give the land cover for the length of a `with` block.

        Raises:
            LabelError: The source cannot be used, or holds nothing of the tile.
        """


def blocks(grid: TileGrid) -> Iterator[Window]:
    """Windows that cover a grid, row by row."""
    for top in range(0, grid.height, BLOCK):
        for left in range(0, grid.width, BLOCK):
            yield Window(left, top, min(BLOCK, grid.width - left), min(BLOCK, grid.height - top))


def block_count(grid: TileGrid) -> int:
    """Number of windows that `blocks` gives."""
    return -(-grid.height // BLOCK) * -(-grid.width // BLOCK)
