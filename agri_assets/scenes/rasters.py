"""What a raster file says of itself, and cheap proof that its end is there."""

import math
import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rasterio.io import DatasetReader

from agri_assets.errors import SceneError
from agri_assets.remote.address import is_remote
from agri_assets.remote.raster import open_raster
from agri_assets.scenes.grid import TileGrid

END_OF_CODESTREAM = b"\xff\xd9"
"""Marker EOC of a JPEG 2000 codestream (ISO/IEC 15444-1, annex A)."""


@dataclass(frozen=True)
class RasterFacts:
    """What a raster says of itself: the grid it is on, its pixel type, its nodata value and how many bands it has."""

    grid: TileGrid
    dtype: str
    nodata: float | None
    count: int = 1


def raster_facts(href: Path | str, sign: str = "") -> RasterFacts:
    """Open a raster, wherever it is, and read its header.

    Raises:
        SceneError: It is missing, cannot be opened, or has no north-up grid in a known CRS.
    """
    href = str(href)
    if not is_remote(href) and not href.startswith("/vsi") and not Path(href).exists():
        raise SceneError(f"{href}: no such file; download the product again")
    raster = open_raster(href, sign)
    try:
        source = raster.dataset
        return RasterFacts(grid_of(href, source), source.dtypes[0], source.nodata, source.count)
    finally:
        raster.close()


def grid_of(href: str, source: DatasetReader) -> TileGrid:
    """The grid that an open raster is on.

    Raises:
        SceneError: It is not north-up, its pixels are not square, or its CRS is unknown.
    """
    a, b, c, d, e, f = tuple(source.transform)[:6]
    code = source.crs.to_epsg() if source.crs else None
    crs = f"EPSG:{code}" if code else source.crs.to_string() if source.crs else ""
    if not crs or not all(map(math.isfinite, (a, c, f))) or a <= 0 or a != -e or b or d:
        raise SceneError(f"{href}: no north-up grid of square pixels in a known CRS; not usable")
    return TileGrid(crs=crs, transform=(a, b, c, d, e, f), height=source.height, width=source.width)


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
            with closing(open_raster(str(path))) as raster:
                whole = blocks_end(raster.dataset) <= size
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


def blocks_end(source: DatasetReader) -> int:
    """Where the last block of an open TIFF's full-resolution image ends, in bytes; 0 for other kinds of file."""
    end = 0
    for band in source.indexes:
        for (row, col), _ in source.block_windows(band):
            offset = source.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=band)
            length = source.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=band)
            end = max(end, int(offset or 0) + int(length or 0))
    return end
