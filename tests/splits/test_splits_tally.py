"""Counts of assignments: what lists tear apart is counted in each of its splits, whatever the blocks."""

import pyarrow as pa
import pytest

from agri_assets.splits.tally import Tally


def rows(first: int, *roles_and_cells: tuple[str | None, str]) -> pa.RecordBatch:
    count = len(roles_and_cells)
    columns = {
        "tile_id": [f"archive_r000_c{first + k:03d}" for k in range(count)],
        "date": [None] * count,
        "split": [role for role, _ in roles_and_cells],
        "cell": [cell for _, cell in roles_and_cells],
        "label": [k % 2 for k in range(count)],
        "reason": ["ambiguous" if role is None else None for role, _ in roles_and_cells],
        "tile": ["archive"] * count,
    }
    types = {"label": pa.int8()}
    return pa.record_batch({name: pa.array(values, types.get(name, pa.string())) for name, values in columns.items()})


@pytest.mark.parametrize("turn", [1, -1])
def test_a_cell_that_lists_tear_apart_counts_in_each_of_its_splits(turn):
    blocks = [rows(0, ("train", "a"), ("val", "a"), (None, "b")), rows(3, ("test", "a"), ("train", "b"))]
    tally = Tally()
    for block in blocks[::turn]:
        tally.add(block)
    assert {role: count.cells for role, count in tally.roles.items()} == {"train": 2, "val": 1, "test": 1}
    assert {role: count.n for role, count in tally.roles.items()} == {"train": 2, "val": 1, "test": 1}
    assert tally.ambiguous_by_role == {"train": 1}
