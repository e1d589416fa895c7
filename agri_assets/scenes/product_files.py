"""A product's files, whether it is a folder or a zip: read in place, nothing unpacked."""

import re
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self
from zipfile import BadZipFile, ZipFile

from agri_assets.errors import SceneError
from agri_assets.scenes.zip_directory import require_small, trusted_members
from agri_assets.store.fingerprint import file_stamp

METADATA = re.compile(r"MTD_MSIL2A\.xml|S2[A-D]_(?:OPER|USER)_MTD_SAFL2A_\w+\.xml", re.IGNORECASE | re.ASCII)
"""The product's own metadata file in every spelling (`MTD_MSIL2A.xml`, `MTD_MSIL2a.xml`, and that before 2017)."""

LEVEL_1C = re.compile(r"MTD_MSIL1C\.xml|S2[A-D]_(?:OPER|USER)_MTD_SAFL1C_\w+\.xml", re.IGNORECASE | re.ASCII)

DEPTH = 2
"""Levels below a zip's or folder's top on which the product's own folder may be."""

CHUNK = 4 * 2**20
"""Bytes read at once when whole files are checked."""

# zipfile and zlib raise all of these on bytes they cannot make sense of
ZIP_FAULTS = (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError, OSError)


class ProductFiles(ABC):
    """The files of one product, by names relative to the product's own folder, with forward slashes.

    Attributes:
        location: The product's folder, or its zip.
        metadata: Name of the product's metadata file.
    """

    location: Path
    metadata: str

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""

    @abstractmethod
    def size(self, name: str) -> int:
        """Bytes of a file."""

    @abstractmethod
    def read_bytes(self, name: str, limit: int) -> bytes:
        """A whole document.

        Raises:
            SceneError: It is missing, damaged, or larger than `limit` bytes.
        """

    @abstractmethod
    def chunks(self, name: str) -> Iterator[bytes]:
        """A file's bytes in order; those of a zip are held against its CRC.

        Raises:
            SceneError: It cannot be read, or is damaged.
        """

    @property
    @abstractmethod
    def prefix(self) -> str:
        """What `remote.raster.open_raster` wants before a file's name."""

    @property
    def has_crc(self) -> bool:
        """Whether `chunks` finds damage by itself."""
        return False

    def href(self, name: str) -> str:
        """What `remote.raster.open_raster` opens."""
        return f"{self.prefix}{name}"

    def name_of(self, href: str) -> str:
        """The name of the file that `href` opens."""
        return href.removeprefix(self.prefix)

    def where(self, name: str) -> str:
        """The file, for messages."""
        return f"{self.location}/{name}"

    def stamp(self) -> str:
        """Changes when any of the files does."""
        return file_stamp(self.location)

    @abstractmethod
    def close(self) -> None:
        """Free what is held open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class FolderFiles(ProductFiles):
    """A product in a folder of its own."""

    def __init__(self, location: Path, metadata: str = "") -> None:
        self.location, self.metadata = location, metadata
        self._root = location.resolve()

    def exists(self, name: str) -> bool:
        """See `ProductFiles`."""
        return (self._root / name).is_file()

    def size(self, name: str) -> int:
        """See `ProductFiles`."""
        return (self._root / name).stat().st_size

    def read_bytes(self, name: str, limit: int) -> bytes:
        """See `ProductFiles`."""
        try:
            with (self._root / name).open("rb") as file:
                content = file.read(limit + 1)
        except OSError as error:
            raise SceneError(f"{self.where(name)}: cannot be read ({error.strerror}); download it again") from None
        if len(content) > limit:
            raise SceneError(f"{self.where(name)}: more than the {limit} bytes of metadata allowed; not read")
        return content

    def chunks(self, name: str) -> Iterator[bytes]:
        """See `ProductFiles`."""
        try:
            with (self._root / name).open("rb") as file:
                while chunk := file.read(CHUNK):
                    yield chunk
        except OSError as error:
            raise SceneError(f"{self.where(name)}: cannot be read ({error.strerror}); download it again") from None

    @property
    def prefix(self) -> str:
        """See `ProductFiles`."""
        return f"{self._root}/"

    def close(self) -> None:
        """Nothing is held open."""


class ZipFiles(ProductFiles):
    """A product in a zip."""

    def __init__(self, location: Path) -> None:
        self.location = location
        with _zip_faults(str(location)):
            self._archive = ZipFile(location)
        try:
            self._members = trusted_members(self._archive, str(location))
            self._folder, self.metadata = _find_product(self._members, location)
            self._prefix = _vsizip(location, self._folder)
        except BaseException:
            self.close()
            raise

    def exists(self, name: str) -> bool:
        """See `ProductFiles`."""
        return f"{self._folder}{name}" in self._members

    def size(self, name: str) -> int:
        """See `ProductFiles`."""
        return self._members[f"{self._folder}{name}"].file_size

    def read_bytes(self, name: str, limit: int) -> bytes:
        """See `ProductFiles`."""
        require_small(self._members[f"{self._folder}{name}"], limit, self.where(name))
        return b"".join(self.chunks(name))

    def chunks(self, name: str) -> Iterator[bytes]:
        """See `ProductFiles`."""
        member = self._members[f"{self._folder}{name}"]
        found = 0
        with _zip_faults(self.where(name)), self._archive.open(member) as file:
            while chunk := file.read(CHUNK):
                found += len(chunk)
                yield chunk
        if found != member.file_size:
            raise SceneError(f"{self.where(name)}: {found} bytes, the zip says {member.file_size}; download it again")

    @property
    def prefix(self) -> str:
        """See `ProductFiles`."""
        return self._prefix

    @property
    def has_crc(self) -> bool:
        """See `ProductFiles`."""
        return True

    def close(self) -> None:
        """See `ProductFiles`."""
        self._archive.close()


def open_product(path: Path) -> ProductFiles:
    """The files of a product; close them, or use them in a `with` block.

    Args:
        path: A folder, whatever it is called, or a zip; the product may be in a folder inside.

    Raises:
        SceneError: There is no Level-2A product, or several, or a zip that cannot be trusted.
    """
    if path.is_dir():
        folder, metadata = _find_product(_documents(path), path)
        return FolderFiles(path / folder if folder else path, metadata)
    if path.is_file():
        return ZipFiles(path)
    raise SceneError(f"{path}: no such file or directory; name a .SAFE directory or a product's zip")


def _documents(folder: Path) -> list[str]:
    """XML files down to where a product's metadata may be, no deeper than they are first found."""
    for level in range(DEPTH + 1):
        found = [str(path.relative_to(folder)) for path in folder.glob("*/" * level + "*.[xX][mM][lL]")]
        if any(METADATA.fullmatch(PurePosixPath(name).name) for name in found):
            return found
    return [path.name for path in folder.glob("*.[xX][mM][lL]")]


def _find_product(names: Iterable[str], where: Path) -> tuple[str, str]:
    """The product's own folder, with a slash at its end unless it is the top, and its metadata file's name."""
    shallow = [PurePosixPath(name) for name in names if name.count("/") <= DEPTH]
    found = sorted(name for name in shallow if METADATA.fullmatch(name.name))
    if len(found) > 1:
        raise SceneError(f"{where}: holds {len(found)} products ({found[0]}, {found[1]}); name or pack each by itself")
    if found:
        folder = found[0].parent
        return "" if folder == PurePosixPath() else f"{folder}/", found[0].name
    if any(LEVEL_1C.fullmatch(name.name) for name in shallow):
        raise SceneError(f"{where}: a Level-1C product; only Level-2A can be used, download that or run Sen2Cor on it")
    raise SceneError(f"{where}: no MTD_MSIL2A.xml in it; not a Sentinel-2 Level-2A product, or incomplete")


def _vsizip(path: Path, folder: str) -> str:
    """The prefix by which GDAL reads inside a zip of any name; braces keep the archive's path apart from the member's.

    Raises:
        SceneError: The path itself has braces that GDAL could not match.
    """
    archive = str(path.resolve())
    if "{" in archive or "}" in archive:
        raise SceneError(f"{path}: a zip with braces in its path cannot be read in place; rename it")
    return f"/vsizip/{{{archive}}}/{folder}"


@contextmanager
def _zip_faults(where: str) -> Iterator[None]:
    try:
        yield
    except SceneError:
        raise
    except ZIP_FAULTS as error:
        reason = " ".join((str(error) or type(error).__name__).split())
        raise SceneError(f"{where}: the zip is damaged or cut off ({reason}); download it again") from None
