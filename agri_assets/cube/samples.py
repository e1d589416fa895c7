"""Figures of every position of one slot, kept beside its manifest so that the index never needs the pixels again."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from agri_assets.cube.manifest import samples_path
from agri_assets.cube.open import open_array, read_block
from agri_assets.cube.positions import Fractions, share
from agri_assets.cube.scene_shards import SlotPixels
from agri_assets.cube.schema import CLASSES_ARRAY, CubeInfo
from agri_assets.errors import CubeError
from agri_assets.scenes.clouds import clear_mask
from agri_assets.scenes.settings import CloudSettings
from agri_assets.store.commit import staged
from agri_assets.store.fingerprint import fingerprint


def write_samples(cube: Path, info: CubeInfo, slot: int, pixels: SlotPixels, clouds: CloudSettings) -> None:
    """Count valid and clear pixels of a slot's positions while its pixels are in memory, and keep the figures."""
    valid = share(pixels.valid, info.tile_size)
    _store(cube, info, slot, valid, _clear(pixels.classes, valid, info, clouds), clouds)


def slot_samples(cube: Path, info: CubeInfo, clouds: CloudSettings) -> Mapping[int, pd.DataFrame]:
    """Figures of the positions of every active slot; clear shares are counted anew where the settings changed."""
    return {slot.slot: _current(cube, info, slot.slot, clouds) for slot in info.active}


def _current(cube: Path, info: CubeInfo, slot: int, clouds: CloudSettings) -> pd.DataFrame:
    path = samples_path(cube, slot)
    if not path.exists():
        raise CubeError(f"{path}: the figures of a slot are missing; delete {cube} and materialise tile_cube again")
    figures = pd.read_parquet(path)
    if (figures["clouds"] == fingerprint(clouds=clouds)).all():
        return figures
    classes = read_block(open_array(cube, CLASSES_ARRAY), slot, 0, 0, (info.height, info.width))
    valid = figures["valid_fraction"].to_numpy().reshape(info.height // info.tile_size, info.width // info.tile_size)
    _store(cube, info, slot, valid, _clear(classes, valid, info, clouds), clouds)
    return pd.read_parquet(path)


def _clear(classes: npt.NDArray[np.uint8], valid: Fractions, info: CubeInfo, clouds: CloudSettings) -> Fractions:
    """Clear shares; a scene without a classification counts as clear where it has data."""
    if info.grid is None or not classes.any():
        return valid
    rows, _ = info.grid.positions(info.tile_size)
    halo = math.ceil(clouds.dilate_m / info.grid.resolution)
    parts = []
    # in strips, with the neighbours that grown clouds come from: masks of a full tile at once would take gigabytes
    for top in range(0, rows * info.tile_size, info.shard_size):
        end = min(top + info.shard_size, rows * info.tile_size)
        first = max(0, top - halo)
        mask = clear_mask(classes[first : end + halo], clouds, info.grid.resolution)
        parts.append(share(mask[top - first : end - first], info.tile_size))
    return np.concatenate(parts) if parts else valid


def _store(cube: Path, info: CubeInfo, slot: int, valid: Fractions, clear: Fractions, clouds: CloudSettings) -> None:
    rows, cols = np.indices(valid.shape, dtype=np.int32)
    frame = pd.DataFrame(
        {
            "row": rows.ravel(),
            "col": cols.ravel(),
            "valid_fraction": valid.ravel(),
            "clear_fraction": clear.ravel(),
            "clouds": pd.Categorical([fingerprint(clouds=clouds)] * valid.size),
        }
    )
    with staged(samples_path(cube, slot)) as path:
        frame.to_parquet(path, index=False)
