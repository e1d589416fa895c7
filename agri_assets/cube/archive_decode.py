"""One image of an archive to pixels, band first; and what makes it unusable, in a few words."""

import io
import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import rasterio
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import MemoryFile

from agri_assets.cube.archive_ground import Place
from agri_assets.cube.schema import Units

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


MOST_BANDS = 256
"""Bands of an image that are unfolded to see what they are."""


class UnusableImageError(ValueError):
    """Why one image cannot be a sample; the caller counts them and raises `ArchiveError`."""


@dataclass(frozen=True)
class Decoded:
    """One image.

    Attributes:
        pixels: (bands, tile_size, tile_size), uint8 or uint16.
        place: Where it lies, by the file itself; None where it does not say.
    """

    pixels: Pixels
    place: Place | None


def decode(content: bytes, name: str, bands: int, tile_size: int) -> Decoded:
    """Pixels and place of one image.

    Raises:
        UnusableImageError: It is damaged, or its size, bands or type are not those of the collection.
    """
    tiff = name.lower().endswith((".tif", ".tiff"))
    raw, place = _decode_tiff(content, tile_size) if tiff else (_decode_picture(content, tile_size), None)
    if raw.dtype not in (np.uint8, np.uint16):
        raise UnusableImageError(f"its pixels are {raw.dtype}, not uint8 or uint16")
    if raw.shape[0] != bands:
        raise UnusableImageError(f"it has {raw.shape[0]} bands, the collection has {bands}")
    return Decoded(raw, place)


def units_of(pixels: Pixels) -> Units:
    """What the values of an image mean: 8 bits are picture values, 16 bits are reflectance times 10000."""
    return "dn8" if pixels.dtype == np.uint8 else "reflectance"


def _decode_picture(content: bytes, tile_size: int) -> Pixels:
    try:
        with Image.open(io.BytesIO(content)) as image:
            _require_size(image.size, tile_size)
            array = np.asarray(image.convert("RGB") if image.mode == "P" else image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnusableImageError(f"it cannot be decoded ({_short(error)})") from None
    if array.ndim == 2:
        return array[np.newaxis]
    return np.ascontiguousarray(array.transpose(2, 0, 1))


def _decode_tiff(content: bytes, tile_size: int) -> tuple[Pixels, Place | None]:
    try:
        with warnings.catch_warnings():
            # tiles of archives often carry no place on the ground, and need none
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            # by no other driver: a VRT, say, could name files of this machine
            with (
                rasterio.Env(GDAL_NUM_THREADS="1"),
                MemoryFile(content) as memory,
                memory.open(driver="GTiff") as dataset,
            ):
                _require_size((dataset.width, dataset.height), tile_size)
                if dataset.count > MOST_BANDS:
                    raise UnusableImageError(f"it has {dataset.count} bands, more than any sample")
                pixels: Pixels = dataset.read()
                return pixels, _place(dataset)
    except RasterioError as error:
        raise UnusableImageError(f"it cannot be decoded ({_short(error)})") from None


def _require_size(size: tuple[int, int], tile_size: int) -> None:
    """Refuse an image of another size before its pixels are unfolded, which may be gigabytes."""
    if size != (tile_size, tile_size):
        raise UnusableImageError(f"it is {size[0]} by {size[1]} px, not {tile_size} by {tile_size}")


def _place(dataset: rasterio.DatasetReader) -> Place | None:
    """Where a GeoTIFF lies; a CRS without a place on Earth (an engineer's, say) counts as none."""
    crs, transform = dataset.crs, dataset.transform
    if not crs or not (crs.is_projected or crs.is_geographic) or transform.is_identity:
        return None
    return Place(crs.to_string(), tuple(transform)[:6])


def _short(error: Exception) -> str:
    # Pillow names the memory buffer, which says nothing to anyone
    return str(error).split(" <_io")[0].splitlines()[0] if str(error) else type(error).__name__
