"""Maps as Cloud-Optimised GeoTIFFs on the cube's grid; one value fills its whole square of pixels."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from rasterio.windows import Window

from agri_assets.scenes.grid import TileGrid
from agri_assets.store.commit import staged

Bytes = npt.NDArray[np.uint8]

OTHER, AGRICULTURAL, NODATA = 0, 1, 255
"""Values of a map of classes; maps of probability use the same nodata."""

COLOURS = {OTHER: (186, 196, 205, 255), AGRICULTURAL: (230, 159, 0, 255), NODATA: (0, 0, 0, 0)}
"""RGBA of each class, as GIS programs show it."""

BLOCK = 512
"""Edge of a block, in pixels: the usual one of Cloud-Optimised GeoTIFFs."""

CACHE_BYTES = 48 << 20
"""What GDAL may keep of blocks: by default it is a twentieth of the machine's memory."""


def classify(probability: npt.NDArray[np.float64], threshold: float) -> tuple[Bytes, Bytes]:
    """Classes and percentages of probabilities; NaN becomes nodata in both."""
    known = np.isfinite(probability)
    classes = np.full(probability.shape, NODATA, dtype=np.uint8)
    classes[known] = np.where(probability[known] >= threshold, AGRICULTURAL, OTHER)
    percent = np.full(probability.shape, NODATA, dtype=np.uint8)
    percent[known] = np.rint(probability[known] * 100)
    return classes, percent


@dataclass(frozen=True)
class Layer:
    """One map to write.

    Attributes:
        values: (rows, columns) of squares, `NODATA` where not mapped.
        description: Of the band.
        colours: RGBA by value, for maps of classes.
    """

    values: Bytes
    description: str
    colours: Mapping[int, tuple[int, int, int, int]] | None = None


def layers(probability: npt.NDArray[np.float64], threshold: float) -> tuple[Layer, Layer]:
    """The map of classes and that of probabilities, for a file each: GDAL takes a band beside a palette for alpha."""
    classes, percent = classify(probability, threshold)
    return (
        Layer(classes, "class: 0 not agricultural, 1 agricultural", COLOURS),
        Layer(percent, "probability of agricultural, in percent"),
    )


def write_map(path: Path, grid: TileGrid, square: int, layer: Layer, tags: Mapping[str, str]) -> None:
    """Write a map atomically, strip by strip, so that memory does not grow with the height of the scene.

    Args:
        path: The Cloud-Optimised GeoTIFF.
        grid: The cube's grid.
        square: Edge of a square, in pixels.
        layer: What to write.
        tags: Provenance.
    """
    with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES), staged(path) as staging:
        plain = staging.with_name(f"{staging.name}.plain")
        try:
            _write_plain(plain, grid, square, layer, tags)
            rasterio.shutil.copy(
                plain, staging, driver="COG", compress="DEFLATE", blocksize=BLOCK, overview_resampling="NEAREST"
            )
        finally:
            plain.unlink(missing_ok=True)


def _write_plain(path: Path, grid: TileGrid, square: int, layer: Layer, tags: Mapping[str, str]) -> None:
    """A tiled GeoTIFF, from which GDAL makes the Cloud-Optimised one."""
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": NODATA, "compress": "DEFLATE"}
    blocks = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK}
    place = {"crs": grid.crs, "transform": rasterio.Affine(*grid.transform)}
    with rasterio.open(path, "w", height=grid.height, width=grid.width, **profile, **blocks, **place) as file:
        if layer.colours:
            file.write_colormap(1, layer.colours)
        file.descriptions = (layer.description,)
        file.update_tags(**tags)
        for y, strip in _strips(grid, square, layer.values):
            file.write(strip, 1, window=Window(0, y, grid.width, strip.shape[0]))


def _strips(grid: TileGrid, square: int, values: Bytes) -> Iterator[tuple[int, Bytes]]:
    """Strips (height, width) of pixels with their first row; pixels beyond the last whole square are nodata."""
    rows, cols = values.shape
    bordered = np.pad(values, ((0, 1), (0, 1)), constant_values=NODATA)
    across = np.minimum(np.arange(grid.width) // square, cols)
    for y in range(0, grid.height, BLOCK):
        down = np.minimum(np.arange(y, min(y + BLOCK, grid.height)) // square, rows)
        yield y, bordered[down[:, None], across]
