"""One way to open a raster, wherever it is: on disk, inside a zip, or at another host."""

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import rasterio
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from agri_assets.errors import SceneError


@dataclass(frozen=True)
class Raster:
    """An open raster; used by one thread at a time.

    Attributes:
        href: As it was asked for, for messages.
        dataset: rasterio's handle, for everything but pixels: shape, CRS, blocks, overviews.
    """

    href: str
    dataset: DatasetReader

    def read(self, index: int = 1, **options: Any) -> npt.NDArray[Any]:
        """Pixels of one band, by rasterio's own options (`window`, `out_shape`, `resampling`).

        Raises:
            SceneError: They cannot be read.
            RemoteError: The host does not give them, after all retries. Never silently nodata.
        """
        try:
            pixels: npt.NDArray[Any] = self.dataset.read(index, **options)
        except RasterioError as error:
            # GDAL's own words are in the cause: rasterio itself only says that the read failed
            raise SceneError(f"{self.href}: the raster cannot be read ({one_line(error.__cause__ or error)})") from None
        return pixels

    def close(self) -> None:
        """Free the handle."""
        self.dataset.close()


def open_raster(href: str, sign: str = "") -> Raster:
    """Open a path, a `/vsizip/` path, or an address (`http(s)://`, `s3://`).

    Args:
        href: Where the raster is, without signature.
        sign: How the address is signed; see `signing`.

    Raises:
        SceneError: It is no raster, or damaged.
        RemoteError: The host does not give it, after all retries.
    """
    try:
        return Raster(href, rasterio.open(href))
    except (RasterioError, ValueError) as error:
        raise SceneError(f"{href}: cannot be opened ({one_line(error)}); damaged, fetch it again") from None


def one_line(error: BaseException) -> str:
    """An error's message without line breaks."""
    return " ".join(str(error).split())
