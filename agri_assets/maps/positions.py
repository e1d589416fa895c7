"""Which acquisition of each tile position is mapped."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from agri_assets.errors import CubeError
from agri_assets.loading.samples import SampleTable, position_samples
from agri_assets.maps.settings import MapSettings


@dataclass(frozen=True)
class Chosen:
    """The acquisitions to map.

    Attributes:
        samples: One per position that can be mapped; labels are 0 and mean nothing.
        rows: Their rows of the tile index, in the same order.
        dates: Their distinct dates, in order.
    """

    samples: SampleTable
    rows: pd.DataFrame
    dates: tuple[str, ...]


def choose_positions(
    index: pd.DataFrame, tile: str, slots: Sequence[int], settings: MapSettings, min_valid: float
) -> Chosen:
    """The clearest acquisition of each position (the latest of equally clear ones), or that of the set date.

    Args:
        index: The tile index.
        tile: Name of the tile.
        slots: The cube's active slots.
        settings: The date rule and the least clear fraction.
        min_valid: Positions with a smaller valid fraction are not mapped.

    Raises:
        CubeError: The cube holds no acquisition of the set date.
    """
    rows = index[index["slot"].isin(list(slots))]
    if settings.date != "clearest":
        present = sorted(set(rows["date"].dropna()))
        if settings.date not in present:
            raise CubeError(f"tile {tile} has no date {settings.date} to map; it has {', '.join(present) or 'none'}")
        rows = rows[rows["date"] == settings.date]
    usable = rows[(rows["clear_fraction"] >= settings.min_clear) & (rows["valid_fraction"] >= min_valid)]
    ordered = usable.sort_values(["clear_fraction", "date"], ascending=False, kind="stable")
    best = ordered.drop_duplicates(["row", "col"]).sort_values(["slot", "row", "col"])
    return Chosen(_samples(best, tile), best, tuple(str(date) for date in sorted(set(best["date"].dropna()))))


def _samples(rows: pd.DataFrame, tile: str) -> SampleTable:
    """Index rows as samples that the streaming reader takes."""
    slot, row, col = (rows[name].to_numpy(np.int64) for name in ("slot", "row", "col"))
    return position_samples(tile, slot, row, col, rows["date"].tolist(), rows["cell"].tolist())
