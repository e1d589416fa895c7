"""The published lists of an archive: which image belongs to train, val or test."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from agri_assets.cube.archive_files import ArchiveImage
from agri_assets.errors import ArchiveError
from agri_assets.scenes.settings import ArchiveSource
from agri_assets.splits.settings import ROLES, Role


def list_files(source: ArchiveSource) -> dict[Role, Path]:
    """The list files that the collection declares."""
    declared = {"train": source.train, "val": source.val, "test": source.test}
    return {role: path for role in ROLES if (path := declared[role]) is not None}


def assign_lists(images: Sequence[ArchiveImage], lists: Mapping[Role, Path]) -> dict[str, Role]:
    """The role of every listed image, by its relative path; images on no list are absent.

    Entries match by relative path, else file name, else stem with another suffix.

    Raises:
        ArchiveError: A list is missing, names tiles that do not exist or are ambiguous, or two lists share a tile.
    """
    keys = [_index(images, key) for key in (_path, _class_and_name, _name, _path_stem, _stem)]
    roles: dict[str, Role] = {}
    for role, path in lists.items():
        for relative in _match(path, _entries(path), keys):
            if roles.setdefault(relative, role) != role:
                raise ArchiveError(f"{path}: {relative} is also on the {roles[relative]} list; a tile has one role")
    return roles


Key = Callable[[PurePosixPath], str]
Index = tuple[Key, Mapping[str, Sequence[str]]]


def _match(path: Path, entries: Sequence[str], keys: Sequence[Index]) -> list[str]:
    matched: list[str] = []
    absent: list[str] = []
    for entry in entries:
        found = next(
            (index[key(PurePosixPath(entry))] for key, index in keys if key(PurePosixPath(entry)) in index), ()
        )
        if len(found) > 1:
            raise ArchiveError(f"{path}: {entry} names {len(found)} tiles ({found[0]}, {found[1]}); write class/name")
        matched.extend(found)
        if not found:
            absent.append(entry)
    if absent:
        raise ArchiveError(
            f"{path}: names {len(absent)} of {len(entries)} tiles that are not in the archive, the first {absent[0]}; "
            "correct the list or the archive"
        )
    return matched


def _entries(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ArchiveError(f"{path}: the list cannot be read ({error}); check the collection's source") from None
    entries = [line.strip().replace("\\", "/") for line in lines if line.strip() and not line.startswith("#")]
    if not entries:
        raise ArchiveError(f"{path}: the list is empty; name one tile a line or leave the list out")
    return entries


def _index(images: Sequence[ArchiveImage], key: Key) -> Index:
    index: dict[str, list[str]] = defaultdict(list)
    for image in images:
        index[key(PurePosixPath(image.relative))].append(image.relative)
    return key, index


def _path(path: PurePosixPath) -> str:
    return str(path)


def _class_and_name(path: PurePosixPath) -> str:
    return "/".join(path.parts[-2:])


def _name(path: PurePosixPath) -> str:
    return path.name


def _path_stem(path: PurePosixPath) -> str:
    return "/".join(path.parts[-2:]).removesuffix(path.suffix)


def _stem(path: PurePosixPath) -> str:
    return path.stem
