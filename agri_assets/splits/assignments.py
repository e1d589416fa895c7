"""`assignments.parquet`: which sample is in which split, and why not (contract 7)."""

import io

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from agri_assets.errors import SplitError
from agri_assets.objects import file_of
from agri_assets.splits.summary import materialise
from agri_assets.store.commit import write_bytes
from agri_assets.store.layout import CollectionPaths

COLUMNS = ("tile_id", "date", "split", "cell", "label", "reason", "tile")
"""In order; `split` is null where `reason` says why, `date` is null in archives, `label` is 1, 0 or null."""

SCHEMA = pa.schema([(name, pa.int8() if name == "label" else pa.string()) for name in COLUMNS])


def arrange(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns of the assignments in order, with one type each, missing values included."""
    ordered: pd.DataFrame = frame[list(COLUMNS)].astype(dict.fromkeys(COLUMNS, object)).astype({"label": "Int8"})
    return ordered.mask(ordered.isna(), None)


def write_assignments(paths: CollectionPaths, assignments: pd.DataFrame) -> None:
    """Write the assignments atomically."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(assignments, schema=SCHEMA, preserve_index=False), buffer)
    write_bytes(paths.assignments, buffer.getvalue())


def read_assignments(paths: CollectionPaths) -> pd.DataFrame:
    """The recorded assignments.

    Raises:
        SplitError: There are none, the file cannot be read, or a column is missing.
    """
    again = materialise(paths.collection)
    if not paths.assignments.exists():
        raise SplitError(f"{paths.assignments}: no such file; {again}")
    try:
        frame = pd.read_parquet(file_of(paths.assignments))
    except (OSError, pa.ArrowException) as error:
        raise SplitError(f"{paths.assignments}: cannot be read ({error}); {again}") from None
    if missing := [name for name in COLUMNS if name not in frame.columns]:
        raise SplitError(f"{paths.assignments}: has no column {missing[0]!r}; {again}")
    return arrange(frame)
