"""Small pictures of a cube for people: contrast stretched, never more than 80 kB."""

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from agri_assets.store.commit import write_bytes

LIMIT_BYTES = 80_000
"""Most bytes a picture may have to travel in an asset's metadata."""

STRETCH = (2.0, 98.0)
"""Percentiles shown as black and white."""

TRUE_COLOUR = ("B04", "B03", "B02")


def true_colour(bands: tuple[str, ...]) -> tuple[int, int, int]:
    """Which bands to show as red, green and blue; the first ones where visible bands are missing."""
    if all(band in bands for band in TRUE_COLOUR):
        red, green, blue = (bands.index(band) for band in TRUE_COLOUR)
        return red, green, blue
    last = len(bands) - 1
    return 0, min(1, last), min(2, last)


def stretch(pixels: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
    """Pixels (3, height, width) to 8-bit RGB (height, width, 3); zero is nodata and stays black."""
    valid = pixels[:, (pixels > 0).all(axis=0)]
    low, high = np.percentile(valid, STRETCH) if valid.size else (0.0, 1.0)
    scaled = (pixels.astype(np.float32) - low) / max(high - low, 1.0)
    return np.ascontiguousarray((np.clip(scaled, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0))


def write_picture(path: Path, rgb: npt.NDArray[np.uint8]) -> Path:
    """Write an RGB picture as PNG below the limit, smaller as needed; returns its path."""
    image = Image.fromarray(rgb)
    while True:
        buffer = io.BytesIO()
        image.quantize(128, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
        if buffer.tell() < LIMIT_BYTES:
            write_bytes(path, buffer.getvalue())
            return path
        shrink = 0.95 * (LIMIT_BYTES / buffer.tell()) ** 0.5
        size = max(1, int(image.width * shrink)), max(1, int(image.height * shrink))
        image = image.resize(size, Image.Resampling.BOX)
