"""The tile index of a scene cube, written date by date: what positions are once, then each date's own figures.

A cube of many dates has millions of rows, of which all but five columns repeat with every date. They are encoded once;
a date costs some ten milliseconds on a full-size tile, and memory does not grow with the number of dates.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from agri_assets.cube.index import DTYPES
from agri_assets.store.commit import staged

GROUP_ROWS = 2**18
"""About as many rows as are written at once; each such group of rows holds the positions' own values once more."""

DICTIONARY_BYTES = 2**28
"""More than all the outlines of a tile take: a column past this limit would be written out in full for every date."""

DATED = ("date", "scene_id", "slot", "valid_fraction", "clear_fraction")
"""The columns that differ between dates."""

TEXTS = [*(name for name, dtype in DTYPES.items() if dtype == "string"), "geometry"]
METADATA = (b"geo", b"pandas")
"""What readers need of a file's metadata to find the geometry and the types of columns."""

Fractions = npt.NDArray[np.float32]
T = TypeVar("T")


@dataclass(frozen=True)
class DateRows:
    """What one date says of every position.

    Attributes:
        slot: Index on the cube's time axis.
        date: Day of acquisition (ISO).
        scene_id: Of its scene.
        valid: Share of valid pixels of each position, row by row.
        clear: Share of clear pixels.
    """

    slot: int
    date: str
    scene_id: str
    valid: Fractions
    clear: Fractions


@dataclass(frozen=True)
class DatedIndex:
    """An index that was written.

    Attributes:
        positions: One row per position, as in the index, without what differs between dates.
        digest: Of the index's content, whatever the slots its rows are stored in.
        clear: Mean clear fraction, by slot.
    """

    positions: gpd.GeoDataFrame
    digest: str
    clear: dict[int, float]


def write_dated_index(path: Path, positions: gpd.GeoDataFrame, dates: Iterable[DateRows]) -> DatedIndex:
    """Write the index atomically as GeoParquet: the dates in the order given, in each the positions.

    Args:
        path: Where to.
        positions: The columns of `DTYPES` that do not differ between dates, and the geometry; one row per position.
        dates: Their figures; gone through once.
    """
    digest = hashlib.sha256(_digest(positions).encode())
    clear: dict[int, float] = {}
    same = _encoded(positions)
    metadata = {key: value for key, value in (same.schema.metadata or {}).items() if key in METADATA}
    # without the Arrow schema, by which readers would take dictionaries for categories
    options = {"store_schema": False, "dictionary_pagesize_limit": DICTIONARY_BYTES}
    with staged(path) as staging, pq.ParquetWriter(staging, same.schema, **options) as file:
        file.add_key_value_metadata(metadata)
        for group in _groups(dates, max(1, GROUP_ROWS // max(1, len(positions)))):
            file.write_table(pa.concat_tables(_rows(same, date) for date in group), row_group_size=2 * GROUP_ROWS)
            for date in group:
                digest.update(f"{date.date} {date.scene_id}".encode() + date.valid.tobytes() + date.clear.tobytes())
                clear[date.slot] = float(date.clear.mean(dtype=np.float64))
    return DatedIndex(positions, digest.hexdigest(), clear)


def _digest(positions: gpd.GeoDataFrame) -> str:
    plain = pd.DataFrame(positions.drop(columns="geometry"))
    return hashlib.sha256(pd.util.hash_pandas_object(plain, index=False).to_numpy().tobytes()).hexdigest()


def _encoded(positions: gpd.GeoDataFrame) -> pa.Table:
    """All columns of the index for one date, encoded by geopandas; texts and outlines as dictionaries."""
    empty = {name: pd.array([""] * len(positions), dtype="string") for name in ("date", "scene_id")}
    blank = positions.assign(slot=0, valid_fraction=0.0, clear_fraction=0.0, **empty)
    ordered = blank[[*DTYPES, "geometry"]].astype(DTYPES)
    buffer = io.BytesIO()
    ordered.to_parquet(buffer, index=False)
    return pq.read_table(buffer, read_dictionary=TEXTS).unify_dictionaries().combine_chunks()


def _rows(same: pa.Table, date: DateRows) -> pa.Table:
    """The rows of one date; what positions have by themselves is not copied."""
    count, table = len(same), same
    values = {
        "date": _repeated(date.date, count),
        "scene_id": _repeated(date.scene_id, count),
        "slot": pa.array(np.full(count, date.slot, dtype=np.int32)),
        "valid_fraction": pa.array(date.valid, type=pa.float32()),
        "clear_fraction": pa.array(date.clear, type=pa.float32()),
    }
    for name in DATED:
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(place), values[name])
    return table


def _repeated(text: str, count: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, dtype=np.int32)), pa.array([text]))


def _groups(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while group := list(islice(rest, size)):
        yield group
