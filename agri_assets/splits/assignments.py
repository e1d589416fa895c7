"""`assignments.parquet`: which sample is in which split, and why not (contract 7).

Rows stand in the order of the tile indexes, tile after tile, in row groups of one tile each.
"""

from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from agri_assets.errors import SplitError
from agri_assets.objects import file_of
from agri_assets.splits.rows import ASSIGNED, Texts, texts
from agri_assets.splits.summary import materialise
from agri_assets.store.layout import CollectionPaths

COLUMNS = ASSIGNED
"""In order; `split` is null where `reason` says why, `date` is null in archives, `label` is 1, 0 or null."""

SCHEMA = pa.schema([(name, pa.int8() if name == "label" else pa.string()) for name in COLUMNS])

_CODED = pa.schema(
    [(name, pa.int8() if name == "label" else pa.dictionary(pa.int32(), pa.string())) for name in COLUMNS]
)


class AssignmentWriter:
    """Writes assignments block by block, so that no table of all samples is ever held."""

    def __init__(self, file: Path) -> None:
        """Begin a file of this machine; it is whole when the `with` block ends."""
        # without the Arrow schema readers see plain texts, not codes
        self._writer = pq.ParquetWriter(file, _CODED, store_schema=False)
        pandas = pa.Table.from_pandas(_typed(pd.DataFrame(columns=COLUMNS)), SCHEMA, preserve_index=False)
        self._writer.add_key_value_metadata(pandas.schema.metadata)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def write(self, tile: str, block: pa.RecordBatch, split: Texts, reason: Texts) -> None:
        """Add rows of one tile.

        Args:
            tile: The tile.
            block: Rows of its index: `tile_id`, `date`, `cell` and `label`.
            split: Of each row; null where there is a reason.
            reason: Of each row; null where there is a split.
        """
        named = {name: texts(block, name) for name in ("tile_id", "date", "cell")}
        named |= {"split": split, "reason": reason, "tile": Texts(np.zeros(block.num_rows, np.int32), (tile,))}
        columns = [
            block.column(name).cast(pa.int8()) if name == "label" else _dictionary(named[name]) for name in COLUMNS
        ]
        self._writer.write_batch(pa.record_batch(columns, schema=_CODED))


def arrange(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns of the assignments in order, with one type each, missing values included."""
    ordered = _typed(frame[list(COLUMNS)])
    return ordered.mask(ordered.isna(), None)


def write_table(file: Path, assignments: pd.DataFrame) -> None:
    """Write assignments that were made in one table, such as an archive's."""
    table = pa.Table.from_pandas(assignments, SCHEMA, preserve_index=False)
    with AssignmentWriter(file) as writer:
        for tile in assignments["tile"].unique():
            for block in table.filter(pa.compute.equal(table["tile"], tile)).to_batches():
                writer.write(tile, block, texts(block, "split"), texts(block, "reason"))


def read_assignments(paths: CollectionPaths, file: Path | None = None) -> pd.DataFrame:
    """The recorded assignments as one table, or those of a file that is not yet recorded.

    Raises:
        SplitError: There are none, the file cannot be read, or a column is missing.
    """
    again = materialise(paths.collection)
    if not paths.assignments.exists() and file is None:
        raise SplitError(f"{paths.assignments}: no such file; {again}")
    try:
        frame = pd.read_parquet(file_of(file or paths.assignments))
    except (OSError, pa.ArrowException) as error:
        raise SplitError(f"{paths.assignments}: cannot be read ({error}); {again}") from None
    if missing := [name for name in COLUMNS if name not in frame.columns]:
        raise SplitError(f"{paths.assignments}: has no column {missing[0]!r}; {again}")
    return arrange(frame)


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    typed: pd.DataFrame = frame.astype(dict.fromkeys(COLUMNS, object)).astype({"label": "Int8"})
    return typed


def _dictionary(values: Texts) -> pa.DictionaryArray:
    codes = pa.array(values.codes, mask=values.codes < 0)
    return pa.DictionaryArray.from_arrays(codes, pa.array(values.names, pa.string()))
