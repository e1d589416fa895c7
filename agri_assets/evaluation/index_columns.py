"""What the tile indexes say about samples, in the order of the samples."""

from typing import Any

import numpy as np
import numpy.typing as npt

from agri_assets.loading.samples import SampleTable
from agri_assets.splits.rows import index_blocks, numbers
from agri_assets.store.layout import CollectionPaths


def index_column(paths: CollectionPaths, samples: SampleTable, column: str) -> npt.NDArray[np.float32]:
    """A column of numbers for each sample, NaN where its index has none; indexes are read in blocks.

    Raises:
        SplitError: An index is missing.
        CubeError: An index cannot be read, or lacks the column.
    """
    found = np.full(len(samples), np.nan, dtype=np.float32)
    for code, tile in enumerate(samples.tiles):
        mine = np.flatnonzero(samples.tile == code)
        wanted = _keys(samples.slot[mine], samples.row[mine], samples.col[mine])
        order = np.argsort(wanted)
        for block in index_blocks(paths, tile, ("slot", "row", "col", column)):
            keys = _keys(*(numbers(block, name, np.int64) for name in ("slot", "row", "col")))
            place = np.minimum(np.searchsorted(wanted, keys, sorter=order), max(len(mine) - 1, 0))
            hit = wanted[order[place]] == keys if len(mine) else np.zeros(len(keys), dtype=bool)
            found[mine[order[place[hit]]]] = numbers(block, column, np.float32, absent=np.nan)[hit]
    return found


def _keys(slot: npt.NDArray[Any], row: npt.NDArray[Any], col: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Slot, row and column as one number."""
    return np.asarray((slot.astype(np.int64) << 40) + (row.astype(np.int64) << 20) + col)
