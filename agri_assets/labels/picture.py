"""A small picture of a land-cover raster in WorldCover's own colours."""

from io import BytesIO
from pathlib import Path

import numpy as np
import rasterio
from matplotlib.image import imsave
from rasterio.enums import Resampling

from agri_assets.labels.worldcover import COLOURS
from agri_assets.store.commit import write_bytes

EDGE = 320
"""Longest edge in pixels: keeps the noisiest real tile below 80 kB."""


def write_picture(raster: Path, target: Path) -> None:
    """Write a PNG of a raster of WorldCover codes."""
    with rasterio.open(raster) as source:
        scale = max(1.0, max(source.height, source.width) / EDGE)
        shape = (max(1, round(source.height / scale)), max(1, round(source.width / scale)))
        classes = source.read(1, out_shape=shape, resampling=Resampling.nearest)
    table = np.zeros((256, 3), np.uint8)
    for code, colour in COLOURS.items():
        table[code] = colour
    buffer = BytesIO()
    imsave(buffer, table[classes], format="png")
    write_bytes(target, buffer.getvalue())
