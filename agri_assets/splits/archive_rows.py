"""Checks on the rows of an archive's assignments, which are held in one table."""

import pandas as pd

from agri_assets.errors import SplitError
from agri_assets.splits.settings import ROLES
from agri_assets.store.layout import ARCHIVE_TILE

INDEX_REMEDY = f"delete the index tiles/{ARCHIVE_TILE}.parquet and materialise tile_cube again"


def prove_rows(assignments: pd.DataFrame, index: pd.DataFrame) -> pd.DataFrame:
    """Check that the rows belong to the indexes: each sample once, with the same label and cell.

    Returns:
        The assigned rows with the columns of the index beside them.

    Raises:
        SplitError: A sample is listed twice, is unknown, has another label or cell, or is assigned without a label.
    """
    key = ["tile", "tile_id", "date"]
    refuse_rows(index[index.duplicated(["tile_id", "date"])], "listed more than once in the tile index", INDEX_REMEDY)
    refuse_rows(assignments[assignments.duplicated(["tile_id", "date"])], "listed more than once in the assignments")
    refuse_rows(assignments[~assignments["split"].isin([*ROLES, None]) & assignments["split"].notna()], "unknown split")
    assigned = assignments[assignments["split"].notna()]
    both = assigned.merge(index, on=key, how="left", suffixes=("", "_index"), indicator=True)
    refuse_rows(both[both["_merge"] != "both"], "assigned to a split but not in the tile index")
    refuse_rows(both[both["label"].isna()], "assigned to a split without a label")
    differs = both["label"].astype("Int8") != both["label_index"].astype("Int8")
    refuse_rows(both[differs.fillna(True)], "label differs from the tile index")
    refuse_rows(both[both["cell"] != both["cell_index"]], "cell differs from the tile index")
    return both


def require_one_split(rows: pd.DataFrame, column: str, what: str | None = None) -> None:
    """Refuse if one value of a column stands in two splits; `what` names the column in the message."""
    counts = rows.groupby(column, sort=False)["split"].nunique()
    refuse_rows(rows[rows[column].isin(counts[counts > 1].index)], f"its {what or column} is in more than one split")


def refuse_rows(wrong: pd.DataFrame, problem: str, remedy: str = "materialise splits again") -> None:
    """Refuse if any row is wrong, naming the first."""
    if len(wrong):
        row = wrong.iloc[0]
        where = f"{row['tile_id']} {row['date']}" if pd.notna(row["date"]) else f"{row['tile_id']}"
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        split = f" [{row['split']}]" if "split" in wrong.columns and pd.notna(row["split"]) else ""
        raise SplitError(f"sample {where}{split}: {problem}{more}; {remedy}")
