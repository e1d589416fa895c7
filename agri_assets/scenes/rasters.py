"""What a raster file says of itself, and cheap proof that its end is there."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import rasterio
from rasterio.errors import RasterioError

from agri_assets.errors import SceneError
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.record import Affine

END_OF_CODESTREAM = b"\xff\xd9"
"""Marker EOC of a JPEG 2000 codestream (ISO/IEC 15444-1, annex A)."""


@dataclass(frozen=True)
class RasterFacts:
    """What a raster says of itself: the grid it is on, its pixel type and its nodata value."""

    grid: TileGrid
    dtype: str
    nodata: float | None


def raster_facts(path: Path) -> RasterFacts:
    """Open a raster and read its header.

    Raises:
        SceneError: It is missing, cannot be opened, or has no north-up grid in a known CRS.
    """
    if not path.exists():
        raise SceneError(f"{path}: no such file; download the product again")
    try:
        with rasterio.open(path) as source:
            transform: Affine = tuple(source.transform)[:6]
            crs = source.crs.to_string() if source.crs else ""
            height, width, dtype, nodata = source.height, source.width, source.dtypes[0], source.nodata
    except (RasterioError, ValueError) as error:
        raise SceneError(f"{path}: cannot be opened ({_one_line(error)}); damaged, download it again") from None
    if not crs or transform[0] <= 0 or transform[0] != -transform[4] or transform[1] or transform[3]:
        raise SceneError(f"{path}: no north-up grid of square pixels in a known CRS; not usable")
    return RasterFacts(TileGrid(crs=crs, transform=transform, height=height, width=width), dtype, nodata)


def require_whole(path: Path) -> None:
    """Refuse a JP2 or TIFF whose end is missing, without decoding it.

    Raises:
        SceneError: The file is shorter than its own directory says.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        magic = file.read(12)
        if magic[4:8] == b"jP  ":
            whole = _jp2_is_whole(file, size)
        elif magic[:4] == b"\xff\x4f\xff\x51":
            whole = _ends_with(file, size, END_OF_CODESTREAM)
        else:
            whole = _blocks_end(path) <= size
    if not whole:
        raise SceneError(f"{path}: truncated at {size} bytes; download it again")


def _jp2_is_whole(file: BinaryIO, size: int) -> bool:
    """Walk the boxes of a JP2 to its codestream and look at the codestream's last marker."""
    start = 0
    while start + 8 <= size:
        file.seek(start)
        head = file.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        end = size if length == 0 else start + length
        if end > size or end <= start:
            return False
        if kind == b"jp2c":
            return _ends_with(file, end, END_OF_CODESTREAM)
        start = end
    return False


def _ends_with(file: BinaryIO, end: int, marker: bytes) -> bool:
    file.seek(max(0, end - len(marker)))
    return file.read(len(marker)) == marker


def _blocks_end(path: Path) -> int:
    """Where the last block of a TIFF's full-resolution image ends, in bytes."""
    end = 0
    with rasterio.open(path) as source:
        for band in source.indexes:
            for (row, col), _ in source.block_windows(band):
                offset = source.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=band)
                length = source.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=band)
                end = max(end, int(offset or 0) + int(length or 0))
    return end


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
