"""What land cover says of every position: how much of it is agricultural, how pure it is, and what it mostly is."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from agri_assets.errors import CubeError, LabelError
from agri_assets.labels.legend import Legend, read_legend
from agri_assets.labels.settings import LandLabels
from agri_assets.labels.worldcover import NODATA
from agri_assets.objects import local_copy
from agri_assets.scenes.grid import TileGrid

CODES = 256
"""Codes that 8 bits can hold."""

Shares = npt.NDArray[np.float32]


@dataclass(frozen=True)
class LandShares:
    """Land cover of every position, row by row.

    Attributes:
        cropland: Share of agricultural pixels among those with a class; NaN where there are none.
        purity: Share of the commonest class among the pixels with a class; NaN where there are none.
        labelled: Share of pixels with a class.
        majority: The commonest class's name, None where there is none; of two equally common the one of lower code.
    """

    cropland: Shares
    purity: Shares
    labelled: Shares
    majority: tuple[str | None, ...]


def read_land_shares(path: Path, grid: TileGrid, tile_size: int, labels: LandLabels) -> LandShares:
    """The shares of all whole positions, from the tile's land cover.

    Raises:
        CubeError: It is missing, unreadable, on another grid, or from labels of another kind.
    """
    try:
        with local_copy(path) as file, rasterio.open(file) as dataset:
            here = (dataset.height, dataset.width), tuple(dataset.transform)[:6]
            if here != ((grid.height, grid.width), grid.transform):
                raise CubeError(f"{path}: is not on the tile's grid; materialise land_cover again")
            legend = read_legend(dataset, labels)
            counts = _counts(dataset, grid, tile_size)
    except (RasterioError, FileNotFoundError) as error:
        raise CubeError(f"{path}: land cover cannot be read ({error}); materialise land_cover again") from None
    except LabelError as error:
        raise CubeError(str(error)) from None
    strange = counts.sum(axis=0)
    strange[[NODATA, *legend.names]] = 0
    if strange.any():
        code = int(np.flatnonzero(strange)[0])
        raise CubeError(f"{path}: holds code {code}, which its legend does not name; materialise land_cover again")
    return land_shares(counts, legend)


def land_shares(counts: npt.NDArray[np.int32], legend: Legend) -> LandShares:
    """Shares from the number of pixels of each code, (positions, 256)."""
    classes = sorted(legend.names)
    known = counts[:, classes]
    total, best = known.sum(axis=1), known.argmax(axis=1)
    with np.errstate(invalid="ignore"):
        cropland = counts[:, list(legend.agricultural)].sum(axis=1) / total
        purity = known.max(axis=1) / total
    return LandShares(
        cropland=cropland.astype(np.float32),
        purity=purity.astype(np.float32),
        labelled=(total / counts.sum(axis=1)).astype(np.float32),
        majority=tuple(
            legend.names[classes[place]] if pixels else None for place, pixels in zip(best, total, strict=True)
        ),
    )


def _counts(dataset: DatasetReader, grid: TileGrid, tile_size: int) -> npt.NDArray[np.int32]:
    """Pixels of each code in every whole position, read one row of positions at a time."""
    rows, cols = grid.positions(tile_size)
    counts = np.empty((rows * cols, CODES), np.int32)
    # the code of a pixel and the column of its position as one number, so that one count serves all classes
    column = np.repeat(np.arange(cols, dtype=np.int32) * CODES, tile_size)
    for row in range(rows):
        codes = dataset.read(1, window=Window(0, row * tile_size, cols * tile_size, tile_size))
        found = np.bincount((codes + column).ravel(), minlength=cols * CODES)
        counts[row * cols : (row + 1) * cols] = found.reshape(cols, CODES)
    return counts
