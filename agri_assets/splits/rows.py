"""Tile indexes and assignments as streams of blocks: memory does not grow with tiles or dates.

Assignments stand in the order of the tile indexes, tile after tile, so that both are read side by side, without a join.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from agri_assets.cube.index import DTYPES
from agri_assets.errors import AgriAssetsError, CubeError, SplitError
from agri_assets.objects import file_of
from agri_assets.splits.summary import materialise
from agri_assets.store.layout import CollectionPaths

BLOCK = 2**16
"""Rows read and written at once."""

ASSIGNED = ("tile_id", "date", "split", "cell", "label", "reason", "tile")
"""Columns of the assignments, in order."""

KEY = ("tile_id", "date")

Codes = NDArray[np.int32]


class Texts(NamedTuple):
    """A column of texts that repeat.

    Attributes:
        codes: Place in `names` of each row; -1 where it is null.
        names: Distinct texts.
    """

    codes: Codes
    names: tuple[str, ...]

    def of(self, values: Mapping[str, Any], absent: Any) -> NDArray[Any]:
        """What a table says of each row's text; `absent` where the text is null or not in the table."""
        return np.array([*(values.get(name, absent) for name in self.names), absent])[self.codes]


class Pair(NamedTuple):
    """Some rows of a tile's index, and the rows of the assignments about the same samples."""

    tile: str
    index: pa.RecordBatch
    assigned: pa.RecordBatch


def texts(block: pa.RecordBatch, column: str) -> Texts:
    """A column of texts by code."""
    values = block.column(column)
    if not pa.types.is_dictionary(values.type):
        values = values.dictionary_encode()
    return Texts(values.indices.fill_null(-1).to_numpy().astype(np.int32), tuple(values.dictionary.to_pylist()))


def numbers(block: pa.RecordBatch, column: str, dtype: type[np.generic], absent: Any = None) -> NDArray[Any]:
    """A column of numbers; `absent` where it is null."""
    values = block.column(column)
    return np.asarray((values if absent is None else values.fill_null(absent)).to_numpy(zero_copy_only=False), dtype)


def index_blocks(paths: CollectionPaths, tile: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a tile's index as stored.

    Raises:
        SplitError: There is no index.
        CubeError: It cannot be read, or lacks a column.
    """
    path, again = paths.tiles(tile), materialise(paths.collection, "tile_cube", tile)
    if not path.exists():
        raise SplitError(f"{path}: no such file; {again}")

    def refusal(problem: str) -> AgriAssetsError:
        return CubeError(f"{path}: the tile index {problem}; delete it and {again}")

    yield from _blocks(path, columns, refusal)


def assigned_blocks(file: Path, paths: CollectionPaths) -> Iterator[pa.RecordBatch]:
    """The rows of an assignments file as stored.

    Raises:
        SplitError: It cannot be read, or lacks a column.
    """
    again = materialise(paths.collection)
    yield from _blocks(file, ASSIGNED, lambda problem: SplitError(f"{paths.assignments}: {problem}; {again}"))


def paired(file: Path, paths: CollectionPaths, tiles: Sequence[str], columns: Sequence[str]) -> Iterator[Pair]:
    """Tile indexes and assignments side by side, tile after tile.

    Args:
        file: The assignments, on this machine or not.
        paths: The collection's.
        tiles: All tiles of the split, in order.
        columns: Columns of the indexes; `tile_id` and `date` come with them.

    Raises:
        SplitError: The assignments are not about the samples of the indexes, each once and in their order.
        CubeError: An index cannot be read.
    """
    rest, again = _Rest(assigned_blocks(file, paths)), materialise(paths.collection)
    for tile in tiles:
        for index in index_blocks(paths, tile, (*KEY, *(name for name in columns if name not in KEY))):
            assigned = rest.take(index.num_rows)
            wrong = _first_difference(index, assigned)
            if wrong is not None and wrong >= assigned.num_rows:
                raise SplitError(f"{paths.assignments}: lacks sample {name_of(index, wrong)}; {again}")
            if wrong is not None:
                name = name_of(assigned, wrong)
                raise SplitError(
                    f"sample {name}: not in the tile index of {tile}, listed twice or out of its order; {again}"
                )
            strayed = np.flatnonzero(~texts(assigned, "tile").of({tile: True}, False))
            if len(strayed):
                other = assigned.column("tile")[int(strayed[0])].as_py()
                name = name_of(assigned, int(strayed[0]))
                raise SplitError(f"sample {name}: said to be of tile {other}, not of {tile}; {again}")
            yield Pair(tile, index, assigned)
    if (more := rest.take(1)).num_rows:
        raise SplitError(f"sample {name_of(more, 0)}: not in the tile indexes, or listed more than once; {again}")


class _Rest:
    """Hands out the rows of a stream of blocks in order, as many as asked for."""

    def __init__(self, blocks: Iterator[pa.RecordBatch]) -> None:
        self.blocks = blocks
        self.held: list[pa.RecordBatch] = []

    def take(self, count: int) -> pa.RecordBatch:
        """The next rows; fewer at the end."""
        have = sum(block.num_rows for block in self.held)
        while have < count and (block := next(self.blocks, None)) is not None:
            self.held.append(block)
            have += block.num_rows
        if not self.held:
            return pa.RecordBatch.from_pylist([], schema=pa.schema([(name, pa.string()) for name in ASSIGNED]))
        table = pa.Table.from_batches(self.held) if len(self.held) > 1 else self.held[0]
        whole = table.unify_dictionaries().combine_chunks().to_batches()[0] if len(self.held) > 1 else self.held[0]
        self.held = [whole.slice(count)] if have > count else []
        return whole.slice(0, count)


def _blocks(path: Path, columns: Sequence[str], refusal: Callable[[str], AgriAssetsError]) -> Iterator[pa.RecordBatch]:
    try:
        schema = pq.read_schema(file := file_of(path))
        if missing := [name for name in columns if name not in schema.names]:
            raise refusal(f"lacks the column {missing[0]!r}")
        repeated = [name for name in columns if name in ASSIGNED or DTYPES.get(name) == "string"]
        with pq.ParquetFile(
            file, read_dictionary=[name for name in repeated if name != "label"], pre_buffer=False
        ) as rows:
            yield from rows.iter_batches(BLOCK, columns=list(columns), use_threads=False)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise refusal(f"cannot be read ({error})") from None


def _first_difference(index: pa.RecordBatch, assigned: pa.RecordBatch) -> int | None:
    """The first row in which two blocks are about different samples; the length of a shorter second one."""
    count = min(index.num_rows, assigned.num_rows)
    same = np.ones(count, dtype=bool)
    for column in KEY:
        ours, theirs = (as_strings(block.column(column)).slice(0, count) for block in (index, assigned))
        same &= pc.fill_null(pc.equal(ours, theirs), pc.and_(pc.is_null(ours), pc.is_null(theirs))).to_numpy(False)
    if not same.all():
        return int(np.argmin(same))
    return count if count < index.num_rows else None


def as_strings(values: pa.Array) -> pa.Array:
    """A column of texts, each row's own."""
    return values.cast(pa.string())


def name_of(block: pa.RecordBatch, row: int) -> str:
    """What messages call the sample of a row."""
    parts = [block.column(name)[row].as_py() for name in KEY]
    split = block.column("split")[row].as_py() if "split" in block.schema.names else None
    return " ".join(part for part in parts if part) + (f" [{split}]" if split else "")
