"""Which acquisition of each tile position is mapped."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.lib
import pyarrow.parquet as pq

from agri_assets.cube.open import CubeInfo
from agri_assets.errors import CubeError
from agri_assets.maps.settings import MapSettings
from agri_assets.objects import file_of

NONE = -1
"""Slot of a position that no acquisition has pixels of."""

COLUMNS = ["tile_id", "date", "slot", "row", "col", "valid_fraction", "clear_fraction", "geometry"]
"""What a map needs of the tile index."""

ROWS = 65_536
"""Rows of the index looked at together, so that memory grows with the positions and not with the dates."""

BEST_FIRST = ["usable", "clear_fraction", "date"]


@dataclass(frozen=True)
class Chosen:
    """The acquisition of each position.

    Attributes:
        rows: Rows of the tile index (`COLUMNS`), at most one per position, in order of row and column.
        slot: (rows, columns) of positions: the slot, `NONE` where there is none.
        usable: (rows, columns): whether the position itself is clear and complete enough to be mapped.
    """

    rows: pd.DataFrame
    slot: npt.NDArray[np.int32]
    usable: npt.NDArray[np.bool_]

    @cached_property
    def dates(self) -> tuple[str, ...]:
        """The distinct dates, in order."""
        return tuple(str(date) for date in sorted(set(self.rows["date"].dropna())))

    def where(self, mapped: npt.NDArray[np.bool_]) -> "Chosen":
        """The same of those positions only for which `mapped` (rows, columns) is true."""
        kept = self.rows[mapped[self.rows["row"], self.rows["col"]]].reset_index(drop=True)
        return Chosen(kept, np.where(mapped, self.slot, np.int32(NONE)), self.usable & mapped)


def choose_positions(
    index: Path, info: CubeInfo, shape: tuple[int, int], settings: MapSettings, min_valid: float
) -> Chosen:
    """The clearest acquisition of each position (the latest of equally clear ones), or that of the set date.

    One that is usable goes before all that are not.

    Args:
        index: The tile index.
        info: The tile's cube.
        shape: Rows and columns of whole positions.
        settings: The date rule and the least clear fraction.
        min_valid: Positions with a smaller valid fraction are not usable.

    Raises:
        CubeError: The cube holds no acquisition of the set date, or the index cannot be read.
    """
    slots = [slot for slot in info.active if settings.date in ("clearest", slot.date)]
    if not slots and settings.date != "clearest":
        present = ", ".join(str(slot.date) for slot in info.active) or "none"
        raise CubeError(f"tile {info.tile} has no date {settings.date} to map; it has {present}")
    numbers, best = [slot.slot for slot in slots], None
    for piece in _pieces(index):
        usable = (piece["clear_fraction"] >= settings.min_clear) & (piece["valid_fraction"] >= min_valid)
        seen = piece["slot"].isin(numbers) & (usable | (piece["valid_fraction"] > 0))
        rows = piece.assign(usable=usable)[seen]
        best = _best(rows if best is None else pd.concat([best, rows]))
    if best is None:
        raise CubeError(f"{index}: the tile index has no rows; delete it and materialise tile_cube again")
    return _chosen(best, shape)


def _best(rows: pd.DataFrame) -> pd.DataFrame:
    ordered = rows.sort_values(BEST_FIRST, ascending=False, kind="stable")
    return ordered.drop_duplicates(["row", "col"]).sort_values(["row", "col"], ignore_index=True)


def _chosen(rows: pd.DataFrame, shape: tuple[int, int]) -> Chosen:
    slot, usable = np.full(shape, NONE, dtype=np.int32), np.zeros(shape, dtype=bool)
    place = rows["row"].to_numpy(), rows["col"].to_numpy()
    slot[place], usable[place] = rows["slot"], rows["usable"]
    return Chosen(rows[COLUMNS], slot, usable)


def _pieces(index: Path) -> Iterator[pd.DataFrame]:
    """The index, some rows at a time; `geometry` stays WKB."""
    try:
        with pq.ParquetFile(file_of(index)) as file:
            for batch in file.iter_batches(batch_size=ROWS, columns=COLUMNS):
                yield batch.to_pandas()
    except FileNotFoundError:
        raise CubeError(f"{index}: no tile index; materialise tile_cube first") from None
    except (OSError, ValueError, pyarrow.lib.ArrowException) as error:
        again = "delete it and materialise tile_cube again"
        raise CubeError(f"{index}: the tile index cannot be read ({error}); {again}") from None
