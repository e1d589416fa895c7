"""Figures of every position of one slot, kept beside its manifest so that the index never needs the pixels again."""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.lib
import pyarrow.parquet as pq

from agri_assets.cube.cores import worker_count
from agri_assets.cube.manifest import samples_path
from agri_assets.cube.open import open_array, read_block
from agri_assets.cube.scene_shards import SlotPixels
from agri_assets.cube.schema import BANDS_ARRAY, CLASSES_ARRAY, CubeInfo
from agri_assets.cube.shares import Fractions, share
from agri_assets.objects import each, file_of
from agri_assets.scenes.clouds import clear_mask, out_of_range, valid_mask
from agri_assets.scenes.settings import CloudSettings
from agri_assets.store.commit import staged
from agri_assets.store.fingerprint import fingerprint

logger = logging.getLogger(__name__)

COUNTED = 2
"""Raised when the same pixels and settings would give other figures: those stored before are counted anew."""

Mask = npt.NDArray[np.bool_]
Classes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class SceneFigures:
    """Figures of a slot's whole scene: shares of all pixels of the tile, those beyond the last position included.

    Attributes:
        scene_valid: Share of pixels with data in every band and a class that is one (see `valid_mask`).
        scene_clear: Share of pixels that are valid, and clear by the collection's cloud settings.
        scl_out_of_range: Pixels whose classification is none.
    """

    scene_valid: float
    scene_clear: float
    scl_out_of_range: int


@dataclass(frozen=True)
class _Shares:
    """Shares of true pixels, by position and of the whole scene."""

    positions: Fractions
    scene: float


def write_samples(cube: Path, info: CubeInfo, slot: int, pixels: SlotPixels, clouds: CloudSettings) -> None:
    """Count valid and clear pixels of a slot's positions while its pixels are in memory, and keep the figures."""
    _store(cube, slot, valid_mask(pixels.valid, pixels.classes), pixels.classes, info, clouds)


def slot_samples(cube: Path, info: CubeInfo, slots: Sequence[int], clouds: CloudSettings) -> Iterator[pd.DataFrame]:
    """Figures of the positions of each slot, counted anew where settings changed or what is stored cannot be read.

    Raises:
        CubeError: They must be counted anew, and the pixels are damaged.
    """
    for slot, figures in zip(slots, each(cube, partial(_stored, cube), slots), strict=True):
        if figures is None or (figures["clouds"] != _rule(clouds)).any():
            # one slot at a time: its pixels take gigabytes
            yield _counted(cube, info, slot, clouds, figures)
        else:
            yield figures


def _counted(
    cube: Path, info: CubeInfo, slot: int, clouds: CloudSettings, figures: pd.DataFrame | None
) -> pd.DataFrame:
    """Figures counted from the pixels, and kept; `figures` are those of other settings, if there are any."""
    classes = read_block(open_array(cube, CLASSES_ARRAY), slot, 0, 0, (info.height, info.width))
    complete = figures is not None and (figures["scene_valid"] == 1).all()
    # where every pixel has data, there is no need to look for it again
    data = np.ones_like(classes, dtype=bool) if complete else _data(cube, info, slot)
    _store(cube, slot, valid_mask(data, classes), classes, info, clouds)
    return _read(samples_path(cube, slot))


def _stored(cube: Path, slot: int) -> pd.DataFrame | None:
    """Figures of one slot as they were kept; None where they cannot be read, or are of an older version."""
    try:
        figures = _read(samples_path(cube, slot))
    except (OSError, pyarrow.lib.ArrowException) as error:
        logger.warning("%s: cannot be read and is counted anew: %s", samples_path(cube, slot), error)
        return None
    # those of an older version tell positions only
    return figures if "scene_valid" in figures else None


def scene_figures(cube: Path, slot: int) -> SceneFigures:
    """The whole scene's figures of one slot, as they were counted last."""
    columns = [field.name for field in fields(SceneFigures)]
    first = _read(samples_path(cube, slot), columns).iloc[0]
    return SceneFigures(float(first["scene_valid"]), float(first["scene_clear"]), int(first["scl_out_of_range"]))


def _read(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Stored figures. Not by pandas, whose way of finding files takes longer than the reading, once for every date."""
    with pq.ParquetFile(file_of(path), page_checksum_verification=True) as file:
        frame: pd.DataFrame = file.read(columns).to_pandas()
        return frame


def _rule(clouds: CloudSettings) -> str:
    """What figures were counted by."""
    return fingerprint(clouds=clouds, code=COUNTED)


def _data(cube: Path, info: CubeInfo, slot: int) -> Mask:
    """Where every band has data, read shard by shard."""
    array, data = open_array(cube, BANDS_ARRAY), np.zeros((info.height, info.width), dtype=bool)
    for y, x in info.shards:
        height, width = info.shard_shape(y, x)
        data[y : y + height, x : x + width] = (read_block(array, slot, y, x, (height, width)) > 0).all(axis=0)
    return data


def _clear(classes: Classes, valid: Mask, info: CubeInfo, clouds: CloudSettings) -> _Shares:
    """Shares of pixels that are valid and clear; a scene without a classification is clear where it is valid."""
    if info.grid is None or not classes.any():
        return _shares(lambda rows: valid[rows], info)
    resolution = info.grid.resolution
    halo = math.ceil(clouds.dilate_m / resolution)

    def clear(rows: slice) -> Mask:
        # with the neighbours that grown clouds come from
        first = max(0, rows.start - halo)
        seen = clear_mask(classes[first : rows.stop + halo], clouds, resolution)[rows.start - first :]
        return seen[: _length(rows)] & valid[rows]

    return _shares(clear, info)


def _strips(info: CubeInfo) -> list[slice]:
    """Rows of shards: masks of a full tile at once would take gigabytes."""
    return [slice(top, min(top + info.shard_size, info.height)) for top in range(0, info.height, info.shard_size)]


def _length(rows: slice) -> int:
    return int(rows.stop - rows.start)


def _shares(mask: Callable[[slice], Mask], info: CubeInfo) -> _Shares:
    """Shares of the true pixels of a mask that is made strip by strip, several at a time."""

    def strip(rows: slice) -> tuple[Fractions, int]:
        pixels = mask(rows)
        return share(pixels, info.tile_size), int(np.count_nonzero(pixels))

    with ThreadPoolExecutor(worker_count()) as pool:
        positions, counts = zip(*pool.map(strip, _strips(info)), strict=True)
    return _Shares(np.concatenate(positions), sum(counts) / (info.height * info.width))


def _store(cube: Path, slot: int, usable: Mask, classes: Classes, info: CubeInfo, clouds: CloudSettings) -> None:
    valid = _shares(lambda rows: usable[rows], info)
    clear = _clear(classes, usable, info, clouds)
    rows, cols = np.indices(valid.positions.shape, dtype=np.int32)
    frame = pd.DataFrame(
        {
            "row": rows.ravel(),
            "col": cols.ravel(),
            "valid_fraction": valid.positions.ravel(),
            "clear_fraction": clear.positions.ravel(),
            "clouds": pd.Categorical([_rule(clouds)] * valid.positions.size),
            **asdict(SceneFigures(valid.scene, clear.scene, out_of_range(classes))),
        }
    )
    with staged(samples_path(cube, slot)) as path:
        frame.to_parquet(path, index=False, write_page_checksum=True)
