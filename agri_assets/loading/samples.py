"""The samples of one split: where each lies in which cube, and what it is labelled."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from agri_assets.cube.damage import lost_slots
from agri_assets.cube.index import read_index
from agri_assets.cube.open import cube_info
from agri_assets.errors import CubeError, SplitError
from agri_assets.splits.assignments import read_assignments
from agri_assets.splits.settings import Role
from agri_assets.splits.summary import materialise
from agri_assets.store.layout import CollectionPaths


@dataclass(frozen=True, eq=False)
class SampleTable:
    """Samples as parallel arrays of one length, in order of tile, slot, row and column.

    Attributes:
        tiles: Names of the tiles.
        tile: Index into `tiles`, int32.
        slot: Index on the cube's time axis, int32.
        row: Row of the position, int32.
        col: Column of the position, int32.
        label: 1.0 agricultural, 0.0 not; float32.
        tile_id: Name of the position.
        date: Day of acquisition (ISO), None in archives.
        cell: Ground cell (archives: content hash).
    """

    tiles: tuple[str, ...]
    tile: NDArray[np.int32]
    slot: NDArray[np.int32]
    row: NDArray[np.int32]
    col: NDArray[np.int32]
    label: NDArray[np.float32]
    tile_id: NDArray[np.object_]
    date: NDArray[np.object_]
    cell: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.tile)

    def take(self, which: NDArray[Any]) -> "SampleTable":
        """The samples of a mask, or of indexes in their order."""
        arrays = {field.name: getattr(self, field.name)[which] for field in fields(self) if field.name != "tiles"}
        return SampleTable(tiles=self.tiles, **arrays)


def load_samples(paths: CollectionPaths, role: Role) -> SampleTable:
    """The samples of one split, as the recorded assignments name them. The proof is not checked (see `check_splits`).

    Raises:
        CubeError: Pixels of these samples are damaged or gone.
        SplitError: There are no assignments, none for `role`, or they do not fit the tile indexes.
    """
    assignments = read_assignments(paths)
    wanted = assignments.loc[assignments["split"] == role, ["tile", "tile_id", "date", "cell", "label"]]
    if wanted.empty:
        raise SplitError(f"{paths.assignments}: split {role} is empty; {materialise(paths.collection)}")
    tiles = tuple(sorted(str(tile) for tile in wanted["tile"].unique()))
    places = [read_index(paths.tiles(tile))[["tile_id", "date", "slot", "row", "col"]] for tile in tiles]
    rows = wanted.merge(pd.concat(places, ignore_index=True), on=["tile_id", "date"], how="left", validate="one_to_one")
    if rows["slot"].isna().any():
        name = rows.loc[rows["slot"].isna(), "tile_id"].iloc[0]
        again = materialise(paths.collection)
        raise SplitError(f"{paths.assignments}: sample {name} is not in the tile index any more; {again}")
    for tile, slots in rows.groupby("tile", observed=True)["slot"]:
        _require_sound(paths, str(tile), set(slots))
    rows = rows.sort_values(["tile", "slot", "row", "col"], kind="stable", ignore_index=True)
    return SampleTable(
        tiles=tiles,
        tile=np.searchsorted(np.array(tiles), rows["tile"].to_numpy(str)).astype(np.int32),
        slot=rows["slot"].to_numpy(np.int32),
        row=rows["row"].to_numpy(np.int32),
        col=rows["col"].to_numpy(np.int32),
        label=rows["label"].to_numpy(np.float32),
        tile_id=rows["tile_id"].to_numpy(object),
        date=rows["date"].to_numpy(object),
        cell=rows["cell"].to_numpy(object),
    )


def _require_sound(paths: CollectionPaths, tile: str, slots: set[int]) -> None:
    """Refuse slots whose files are gone: Zarr would read them as zeros."""
    cube = paths.cube(tile)
    info = cube_info(cube)
    if broken := lost_slots(cube, info) & slots:
        dates = ", ".join(str(slot.date or slot.scene_id) for slot in info.slots if slot.slot in broken)
        raise CubeError(f"{cube}: {dates} has lost files; materialise tile_cube of {tile}, which builds it again")
