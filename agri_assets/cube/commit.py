"""The commit point of a cube: one atomic replace of the root `zarr.json`."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.storage import StorePath

from agri_assets.cube.pipeline import plain_pipeline, store_of
from agri_assets.cube.schema import CubeInfo
from agri_assets.cube.zarr_metadata import coordinates
from agri_assets.store.commit import read_json, write_json

EPOCH = date(1970, 1, 1)


def write_coordinates(root: Path, info: CubeInfo, document: dict[str, Any]) -> None:
    """Write the coordinates' values; like shards they are invisible until the commit.

    In a cube that is already committed only the last date is new, and nothing else is touched.
    """
    metadata = document["consolidated_metadata"]["metadata"]
    dates = [slot.date for slot in info.slots if slot.date]
    with plain_pipeline():
        if not (root / "zarr.json").exists():
            for name, values in coordinates(info).items():
                _array(root, name, metadata)[...] = values
        if dates:
            last = len(dates) - 1
            _array(root, "time", metadata)[last:] = np.array([(date.fromisoformat(dates[last]) - EPOCH).days])


def _array(root: Path, name: str, metadata: dict[str, Any]) -> zarr.Array[Any]:
    return zarr.Array.from_dict(StorePath(store_of(root), name), metadata[name])


def commit_root(root: Path, document: dict[str, Any]) -> None:
    """Make the slots of `document` visible, all at once.

    The arrays' own metadata follows the root: whoever opens an array by itself sees the last state or the one
    before, never a slot that is not whole.
    """
    _replace(root / "zarr.json", document)
    for name, metadata in document["consolidated_metadata"]["metadata"].items():
        _replace(root / name / "zarr.json", metadata)


def _replace(path: Path, document: dict[str, Any]) -> None:
    if not path.exists() or read_json(path) != document:
        write_json(path, document)
