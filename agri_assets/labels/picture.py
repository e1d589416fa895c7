"""A small picture of a land-cover raster in the colours of its own table."""

from io import BytesIO
from pathlib import Path

import numpy as np
import rasterio
from matplotlib.image import imsave
from rasterio.enums import Resampling

from agri_assets.objects import local_copy
from agri_assets.store.commit import write_bytes

EDGE = 320
"""Longest edge in pixels: keeps the noisiest real tile below 80 kB."""


def write_picture(raster: Path, target: Path) -> None:
    """Write a PNG of a land-cover raster."""
    with local_copy(raster) as file, rasterio.open(file) as source:
        scale = max(1.0, max(source.height, source.width) / EDGE)
        shape = (max(1, round(source.height / scale)), max(1, round(source.width / scale)))
        codes = source.read(1, out_shape=shape, resampling=Resampling.nearest)
        colours = source.colormap(1)
    table = np.zeros((256, 3), np.uint8)
    for code, colour in colours.items():
        table[code] = colour[:3]
    buffer = BytesIO()
    imsave(buffer, table[codes], format="png")
    write_bytes(target, buffer.getvalue())
