"""The tile index: one row per position and date, the one table for sampling, splitting, statistics and maps."""

import hashlib
from pathlib import Path

import pandas as pd
import pyarrow.lib

from agri_assets.errors import CubeError
from agri_assets.objects import file_of
from agri_assets.store.commit import staged

DTYPES = {
    **{"tile": "string", "tile_id": "string", "date": "string", "scene_id": "string"},
    **{"slot": "int32", "row": "int32", "col": "int32"},
    **{"valid_fraction": "float32", "clear_fraction": "float32", "cropland_fraction": "float32"},
    **{"purity": "float32", "labelled_fraction": "float32"},
    **{"label": "Int8", "ambiguous": "bool", "cell": "string", "owner": "string"},
    **{"class_name": "string", "listed": "string", "name": "string", "group": "string"},
}
"""Columns of the tile index in order, `geometry` aside.

Fractions are shares of pixels in 0..1: `cropland_fraction` and `purity` (of the commonest class) among the pixels that
have a class, `labelled_fraction` of these among all; archives have none of the three. `label` is 1, 0 or missing,
`ambiguous` where it is missing because the cropland fraction lies between the thresholds. `cell` is the H3 cell of the
position's centre (archives: where it is not known, a hash of the group or of the content). `owner` is the MGRS tile
whose samples of this ground count. `class_name` is an archive's folder or the majority land cover. `listed` is the
list an archive's image stands on, `name` its file name, `group` what it was cut from.
"""

DESCRIPTIONS = {
    "tile": "MGRS tile, or archive",
    "tile_id": "name of the position: tile, row and column",
    "date": "day of acquisition (ISO); null in archives whose names do not tell it",
    "scene_id": "scene, or all scenes merged into the date, joined by +",
    "slot": "index on the cube's time axis",
    "row": "row of positions in the cube",
    "col": "column of positions in the cube",
    "valid_fraction": "share of pixels with data in all bands and a classification that is one",
    "clear_fraction": "share of pixels that are valid and in which the ground is seen",
    "cropland_fraction": "share of cropland among the pixels that have a class",
    "purity": "share of the commonest class among the pixels that have a class",
    "labelled_fraction": "share of pixels that have a class",
    "label": "1 agricultural, 0 not, null unknown",
    "ambiguous": "whether the label is null since the share of cropland lies between the thresholds",
    "cell": "H3 cell of the centre; in archives without ground a hash of group or content",
    "owner": "MGRS tile whose samples of this ground count",
    "class_name": "folder in the archive, or commonest land cover",
    "listed": "list that an archive's image stands on",
    "name": "file name of an archive's image",
    "group": "what an archive's image was cut from",
    "geometry": "footprint, WKB, EPSG:4326",
    "content": "hash of an archive's pixels",
}
"""What the columns hold, in a few words, for people who see the table's schema."""

STORAGE_COLUMNS = ("slot",)
"""Where a row is kept; says nothing about what it is, so it does not enter the digest."""


def write_index(path: Path, frame: pd.DataFrame) -> None:
    """Write the index atomically: GeoParquet where it has a geometry, plain Parquet for archives.

    Args:
        path: Where to.
        frame: The columns of `DTYPES`; a GeoDataFrame for scenes.
    """
    with staged(path) as staging:
        content = frame if "geometry" in frame else frame.assign(geometry=None)
        content.to_parquet(staging, index=False)


def read_index(path: Path) -> pd.DataFrame:
    """The index as a plain table; `geometry` stays WKB.

    Raises:
        CubeError: It is missing or not a tile index.
    """
    again = "delete it and materialise tile_cube again"
    try:
        frame = pd.read_parquet(file_of(path))
    except FileNotFoundError:
        raise CubeError(f"{path}: no tile index; materialise tile_cube first") from None
    except (OSError, ValueError, pyarrow.lib.ArrowException) as error:
        raise CubeError(f"{path}: the tile index cannot be read ({error}); {again}") from None
    if missing := [column for column in DTYPES if column not in frame]:
        raise CubeError(f"{path}: the tile index lacks {', '.join(missing)}; {again}")
    return frame.astype(DTYPES)


def arrange(frame: pd.DataFrame, keep: tuple[str, ...] = ()) -> pd.DataFrame:
    """The columns of the index in order, with their types, sorted by position and date; `keep` follow them."""
    ordered = frame[[*DTYPES, *keep]].astype(DTYPES)
    return ordered.sort_values(["row", "col", "date"], kind="stable", ignore_index=True)


def index_digest(frame: pd.DataFrame) -> str:
    """Digest of the index's content, whatever the slots its rows are stored in."""
    content = arrange(frame).drop(columns=list(STORAGE_COLUMNS))
    return hashlib.sha256(pd.util.hash_pandas_object(content, index=False).to_numpy().tobytes()).hexdigest()
