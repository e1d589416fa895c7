"""Image files: lossless JPEG 2000 as Sentinel-2 products carry it, and cloud-optimised GeoTIFF land cover."""

from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin

from agri_assets.samples.render import RESOLUTION
from agri_assets.samples.tiles import Window

JP2_BLOCK = {10: 1024, 20: 640, 60: 192}
"""Side of the JPEG 2000 tiles at each resolution, as in real products."""
IMAGES = {**RESOLUTION, "SCL": 20}
"""Every image of a product, and its pixel size in metres."""


def image_dtype(image: str) -> str:
    """Pixel type of an image."""
    return "uint8" if image == "SCL" else "uint16"


def image_path(granule: Path, tile_name: str, start: str, image: str) -> Path:
    """Where an image lies in its granule."""
    resolution = IMAGES[image]
    return granule / "IMG_DATA" / f"R{resolution}m" / f"T{tile_name}_{start}_{image}_{resolution}m.jp2"


def write_jp2(path: Path, pixels: NDArray[np.generic], window: Window, resolution: int) -> None:
    """Write one band without loss, georeferenced by GMLJP2 and GeoJP2 boxes."""
    height, width = pixels.shape
    options = {
        "driver": "JP2OpenJPEG",
        "width": width,
        "height": height,
        "count": 1,
        "dtype": str(pixels.dtype),
        "crs": f"EPSG:{window.tile.epsg}",
        "transform": from_origin(window.ulx, window.uly, resolution, resolution),
        "QUALITY": "100",
        "REVERSIBLE": "YES",
        "BLOCKXSIZE": JP2_BLOCK[resolution],
        "BLOCKYSIZE": JP2_BLOCK[resolution],
        "GMLJP2": "YES",
        "GeoJP2": "YES",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", **options) as target:
        target.write(pixels, 1)


def break_jp2(path: Path) -> None:
    """Damage a JPEG 2000 file as an interrupted download does: its last two fifths are gone."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size * 3 // 5)
