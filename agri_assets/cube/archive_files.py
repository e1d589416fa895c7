"""The images of a labelled archive: found in a directory or read in place from a zip."""

import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from agri_assets.errors import ArchiveError

IMAGE_LIMIT = 64 * 2**20
"""Largest image file read, in bytes: a sample of 256 by 256 px with all bands has two million."""

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff"})


@dataclass(frozen=True)
class ArchiveImage:
    """One image of an archive.

    Attributes:
        member: Its path inside the directory or zip.
        relative: The same without the folders that all class folders share; what lists and people call it.
        class_name: Name of its parent folder.
    """

    member: str
    relative: str
    class_name: str

    @property
    def name(self) -> str:
        """Its file name."""
        return PurePosixPath(self.relative).name


@dataclass(frozen=True)
class Archive:
    """An open archive: its images in order of name, and their bytes. Reading is safe from several threads."""

    path: Path
    images: tuple[ArchiveImage, ...]
    _zip: zipfile.ZipFile | None

    def read(self, image: ArchiveImage) -> bytes:
        """The bytes of one image.

        Raises:
            OSError: It cannot be read, or is larger than any sample.
            zipfile.BadZipFile: Its checksum is wrong.
        """
        if self.size(image) > IMAGE_LIMIT:
            raise OSError(f"{self.size(image)} bytes, more than the {IMAGE_LIMIT} that an image may have")
        return self._zip.read(image.member) if self._zip else (self.path / image.member).read_bytes()

    def size(self, image: ArchiveImage) -> int:
        """Bytes of one image, unpacked."""
        return self._zip.getinfo(image.member).file_size if self._zip else (self.path / image.member).stat().st_size


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open a directory or zip of `class/name.{jpg,png,tif}`.

    Raises:
        ArchiveError: It is missing, no zip, without images, holds one twice, has an empty class folder, or a name that
            leads out.
    """
    if path.is_dir():
        members = [item.relative_to(path).as_posix() + ("/" if item.is_dir() else "") for item in path.rglob("*")]
        yield Archive(path, find_images(path, members), None)
        return
    if not path.is_file():
        raise ArchiveError(f"{path}: no such file or directory; point the collection's source.path at the archive")
    try:
        opened = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise ArchiveError(f"{path}: not a zip and not a directory ({error}); download it again") from None
    with opened:
        names = opened.namelist()
        if strayed := next((name for name in names if name.startswith("/") or ".." in name.split("/")), None):
            raise ArchiveError(f"{path}: member {strayed[:120]!r} leads out of its folder; not to be trusted")
        yield Archive(path, find_images(path, names), opened)


def find_images(path: Path, members: list[str]) -> tuple[ArchiveImage, ...]:
    """The images among an archive's members; folders end with `/`, hidden ones and `__MACOSX` do not count.

    A class folder is a folder of images without folders of images below it, so that a preview beside the class
    folders is no sample.

    Raises:
        ArchiveError: There is none, one is there twice, or a class folder is empty.
    """
    paths = [(PurePosixPath(member), member.endswith("/")) for member in sorted(members)]
    as_packed = {PurePosixPath(member): member for member in members}
    seen = [(item, folder) for item, folder in paths if not _hidden(item)]
    files = [item for item, folder in seen if not folder and item.suffix.lower() in IMAGE_SUFFIXES]
    parents = {item.parent for item in files}
    holding = {above for parent in parents for above in parent.parents}
    classes = parents - holding - {PurePosixPath(".")}
    if not classes:
        raise ArchiveError(f"{path}: holds no class/name.jpg (or png, tif); check that it is the right archive")
    if twice := next((str(item) for item, count in Counter(files).items() if count > 1), None):
        raise ArchiveError(f"{path}: holds {twice} more than once; remove all but one and pack it again")
    folders = {item for item, folder in seen if folder} | {item.parent for item, folder in seen if not folder}
    _refuse_empty(path, folders, classes, holding)
    top = _common(classes)
    return tuple(
        ArchiveImage(as_packed[item], str(item.relative_to(top)), item.parent.name)
        for item in files
        if item.parent in classes
    )


def _refuse_empty(
    path: Path, folders: set[PurePosixPath], classes: set[PurePosixPath], holding: set[PurePosixPath]
) -> None:
    """A folder beside the class folders that holds no image is a class that lost its images."""
    beside = {item.parent for item in classes}
    empty = sorted(str(item) for item in folders - classes - holding if item.parent in beside and item.name)
    if empty:
        raise ArchiveError(f"{path}: class folder {empty[0]!r} holds no image; fill it or remove it")


def _common(classes: set[PurePosixPath]) -> PurePosixPath:
    """The deepest folder above all class folders."""
    parents = [set(item.parents) for item in classes]
    return max(set.intersection(*parents), key=lambda item: len(item.parts))


def _hidden(item: PurePosixPath) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in item.parts)
