"""One way to open a raster, wherever it is: on disk, inside a zip, or at another host."""

import io
import os
import warnings
import weakref
from collections.abc import Callable
from contextvars import Context
from pathlib import PurePosixPath
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import numpy.typing as npt
import rasterio
from rasterio.abc import FileContainer
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.session import DummySession

from agri_assets.errors import SceneError
from agri_assets.remote.address import is_remote, without_signature
from agri_assets.remote.beside import BESIDE, georeference_beside
from agri_assets.remote.file import Cursor, RangeFile

T = TypeVar("T")

# whoever needs a grid refuses such a raster in words of its own
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)

# OpenJPEG else hands every code block to another thread and back; it reads this when it opens an image
os.environ.setdefault("OPJ_NUM_THREADS", "0")

DRIVERS = ("GTiff", "JP2")
"""Beginnings of the drivers that may read what strangers made: a VRT, say, could name other files and addresses."""


class Raster:
    """An open raster; used by one thread at a time.

    Attributes:
        href: As it was asked for, without signature, for messages.
    """

    def __init__(self, href: str) -> None:
        self.href = href
        self._handle: DatasetReader | None = self._open()

    @property
    def dataset(self) -> DatasetReader:
        """The handle of rasterio, for everything but pixels: shape, CRS, blocks, overviews; closed with the raster."""
        if self._handle is None:
            self._handle = self._open()
        return self._handle

    def read(self, index: int = 1, **options: Any) -> npt.NDArray[Any]:
        """Pixels of one band, by rasterio's own options (`window`, `out_shape`, `resampling`).

        Raises:
            SceneError: They cannot be read.
            RemoteError: The host does not give them, after all retries. Never silently nodata.
        """
        dataset = self.dataset
        return _with_one_thread(lambda: self._pixels(dataset, index, options))

    def close(self) -> None:
        """Free the handle."""
        if self._handle is not None:
            self._handle.close()

    def _pixels(self, dataset: DatasetReader, index: int, options: dict[str, Any]) -> npt.NDArray[Any]:
        try:
            pixels: npt.NDArray[Any] = dataset.read(index, **options)
        except RasterioError as error:
            # GDAL's own words are in the cause: rasterio itself only says that the read failed
            raise SceneError(f"{self.href}: the raster cannot be read ({one_line(error.__cause__ or error)})") from None
        return pixels

    def _open(self) -> DatasetReader:
        try:
            dataset = _with_one_thread(lambda: rasterio.open(self.href))
        except (RasterioError, ValueError) as error:
            raise SceneError(f"{self.href}: cannot be opened ({one_line(error)}); damaged, fetch it again") from None
        if not dataset.driver.startswith(DRIVERS):
            dataset.close()
            raise SceneError(f"{self.href}: a {dataset.driver} file; only GeoTIFF and JPEG 2000 are read")
        return dataset


class _RemoteRaster(Raster):
    """A raster at another host, read by ranges.

    After a read that failed, the handle (whose headers may be half read) is dropped and made anew by the next use.
    """

    def __init__(self, href: str, sign: str) -> None:
        self._address, self._sign = href, sign
        super().__init__(without_signature(href))

    def read(self, index: int = 1, **options: Any) -> npt.NDArray[Any]:
        dataset = self.dataset
        try:
            return self._run(lambda: self._pixels(dataset, index, options))
        finally:
            # also what failed while somebody read headers through `dataset`
            if self._file.failure is not None:
                self._handle = None
                self._closing()
                raise self._file.failure

    def close(self) -> None:
        self._closing()

    def _open(self) -> DatasetReader:
        dataset = self._open_with(None)
        if dataset.crs is None and (beside := georeference_beside(self._address, self._sign)):
            self._closing()
            dataset = self._open_with(beside)
        return dataset

    def _open_with(self, beside: bytes | None) -> DatasetReader:
        # rasterio keeps its openers in context variables: with a context of its own a raster may change threads
        self._context = Context()
        self._file = RangeFile(self._address, self._sign)
        name = PurePosixPath(unquote(urlsplit(self._address).path)).name or "raster"
        container = _OneFile(self._file, name, beside)
        try:
            dataset = self._run(lambda: rasterio.open(container.path, opener=container))
        except (RasterioError, ValueError) as error:
            if self._file.failure is not None:
                raise self._file.failure from None
            raise SceneError(f"{self.href}: cannot be opened ({one_line(error)}); damaged, fetch it again") from None
        # GDAL crashes if the garbage collector takes the opener before a handle that nobody closed: this holds both
        self._closing = weakref.finalize(self, self._context.run, dataset.close)
        problem = self._file.failure
        if problem is None and not dataset.driver.startswith(DRIVERS):
            problem = SceneError(
                f"{self.href}: a {dataset.driver} file; from hosts only GeoTIFF and JPEG 2000 are read"
            )
        if problem is not None:
            self._closing()
            raise problem
        return dataset

    def _run(self, call: Callable[[], T]) -> T:
        return self._context.run(_with_one_thread, call)


class _OneFile(FileContainer):  # type: ignore[misc]
    """A folder with one raster in it: what GDAL looks for beside it is answered without a request.

    Args:
        file: The raster.
        name: Its name.
        beside: Content of its `.aux.xml`, where it has one that is needed.
    """

    def __init__(self, file: RangeFile, name: str, beside: bytes | None) -> None:
        self._file, self._beside = file, beside
        self.path = f"remote/{name}"

    def open(self, path: str, mode: str = "r", **_: Any) -> io.RawIOBase | io.BytesIO:
        self._known(path)
        return Cursor(self._file) if path == self.path else io.BytesIO(self._beside or b"")

    def isfile(self, path: str) -> bool:
        return path in self.ls("")

    def isdir(self, path: str) -> bool:
        return path == "remote"

    def ls(self, path: str) -> list[str]:
        return [self.path, *([f"{self.path}{BESIDE}"] if self._beside is not None else [])]

    def mtime(self, path: str) -> int:
        return 0

    def size(self, path: str) -> int:
        self._known(path)
        return self._file.size if path == self.path else len(self._beside or b"")

    def rm(self, path: str) -> None:
        raise FileNotFoundError(path)

    def _known(self, path: str) -> None:
        if not self.isfile(path):
            raise FileNotFoundError(path)


def open_raster(href: str, sign: str = "") -> Raster:
    """Open a path, a `/vsizip/` path, or an address (`http(s)://`, `s3://`).

    Args:
        href: Where the raster is, without signature.
        sign: How the address is signed; see `signing`.

    Raises:
        SceneError: It is no raster, or damaged.
        RemoteError: The host does not give it, after all retries.
    """
    return _RemoteRaster(href, sign) if is_remote(href) else Raster(href)


def one_line(error: BaseException) -> str:
    """An error's message without line breaks."""
    return " ".join(str(error).split())


def _with_one_thread(call: Callable[[], T]) -> T:
    """Without GDAL's own threads, which lose errors: the missing tiles of a damaged JPEG 2000 file come back as zeros.

    They could not read from a Python file either. Who wants more cores reads several rasters at once.
    """
    with rasterio.Env(session=DummySession(), GDAL_NUM_THREADS="1"):
        return call()
