"""From a model to its scenes: each scene in its cubes, how many samples it gave, what was decided on its radiometry.

Written once, beside the weights: cubes and inventories go on changing, what a model was made from does not.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from agri_assets.cube.open import cube_info
from agri_assets.cube.schema import CubeInfo
from agri_assets.errors import StoreError, TrainingError
from agri_assets.loading.samples import SampleTable
from agri_assets.objects import each, file_of
from agri_assets.scenes.inventory import read_inventory
from agri_assets.scenes.record import SceneRecord
from agri_assets.store.commit import staged
from agri_assets.store.layout import CollectionPaths

SCENES_FILE = "scenes.parquet"

COLUMNS: dict[str, Any] = {
    **{"tile": "string", "cube_version": "string", "date": "string", "slot": "int32", "scene_id": "string"},
    **{"train_samples": "int64", "val_samples": "int64"},
    **{"processing_baseline": "string", "offset": "Int32", "decision": "string", "source": "string"},
}
"""One row per scene, a merged date's scenes each by itself; the last four are null in archives and where the inventory
no longer holds the scene. `offset` is what had to be added to stored numbers, `decision` the rule that said so."""

Counts = Mapping[tuple[str, int], int]


def write_scenes(
    folder: Path, paths: CollectionPaths, cubes: Mapping[str, str], train: SampleTable, val: SampleTable
) -> Path:
    """Write `scenes.parquet` into a run folder.

    Args:
        folder: The run folder.
        paths: Where the collection lies.
        cubes: Data version of each tile's cube.
        train: The samples of train.
        val: The samples of val.
    """
    counts = _counts(train), _counts(val)
    rows = [
        row for found in each(paths.folder, lambda tile: _tile(paths, tile), cubes) for row in _rows(*found, *counts)
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS)).assign(cube_version=lambda table: table["tile"].map(cubes))
    with staged(folder / SCENES_FILE) as staging:
        frame.astype(COLUMNS).to_parquet(staging, index=False)
    return folder / SCENES_FILE


def read_scenes(folder: Path) -> pd.DataFrame:
    """The scenes of a training run.

    Raises:
        TrainingError: An older version trained it, and they were not written down.
    """
    path = folder / SCENES_FILE
    if not path.exists():
        raise TrainingError(
            f"{path}: no such file; an older version trained this run, delete its folder to train again"
        )
    return pd.read_parquet(file_of(path))


def _tile(paths: CollectionPaths, tile: str) -> tuple[CubeInfo, dict[str, SceneRecord]]:
    """A tile's cube and the records of its inventory by scene; none where there is no inventory, as in archives."""
    info = cube_info(paths.cube(tile))
    try:
        return info, {record.scene_id: record for record in read_inventory(paths, tile).present}
    except StoreError:
        return info, {}


def _rows(info: CubeInfo, records: Mapping[str, SceneRecord], train: Counts, val: Counts) -> Iterator[dict[str, Any]]:
    for slot in info.active:
        place = info.tile, slot.slot
        given = {"train_samples": train.get(place, 0), "val_samples": val.get(place, 0)}
        for scene in slot.scene_id.split("+"):
            row = {"tile": info.tile, "date": slot.date, "slot": slot.slot, "scene_id": scene, **given}
            if record := records.get(scene):
                decided = record.radiometry
                row |= {"processing_baseline": record.processing_baseline, "source": record.location}
                row |= {"offset": decided.offset, "decision": decided.decision}
            yield row


def _counts(samples: SampleTable) -> dict[tuple[str, int], int]:
    """How many samples each acquisition gave."""
    pairs, counts = np.unique(np.stack([samples.tile, samples.slot]), axis=1, return_counts=True)
    return {
        (samples.tiles[tile], slot): count
        for (tile, slot), count in zip(pairs.T.tolist(), counts.tolist(), strict=True)
    }
