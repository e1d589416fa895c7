"""What a zip says it holds, and whether it can be trusted: it came from a stranger and is read in place."""

import re
import stat
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from agri_assets.errors import SceneError

MEMBER_LIMIT = 10_000
"""Most members of a zip; a Level-2A product has some 150."""

RATIO_LIMIT = 200
"""Most bytes that one stored byte may unfold to; metadata reach 30, deflate itself ends at 1032."""

SMALL = 2**20
"""Below this many bytes a high ratio does no harm."""

ENCRYPTED = 0x1 | 0x40 | 0x2000
"""Flags of encrypted members and of encrypted directories (APPNOTE 4.4.4)."""

DRIVE = re.compile(r"[A-Za-z]:")


def trusted_members(archive: ZipFile, where: str) -> dict[str, ZipInfo]:
    """The files in a zip, by name.

    Raises:
        SceneError: Its directory holds anything that a product's does not: names that escape or come twice, links,
            encrypted members, sizes that do not fit the archive.
    """
    infos = archive.infolist()
    if len(infos) > MEMBER_LIMIT:
        raise SceneError(f"{where}: {len(infos)} members, more than the {MEMBER_LIMIT} allowed; not a product")
    members: dict[str, ZipInfo] = {}
    for info in infos:
        if fault := _fault(info):
            raise SceneError(f"{where}: member {info.orig_filename[:120]!r} {fault}")
        if info.filename in members:
            raise SceneError(f"{where}: holds {info.filename[:120]!r} twice; not to be trusted, download it again")
        members[info.filename] = info
    _require_sizes(archive, members, where)
    return {name: info for name, info in members.items() if not info.is_dir()}


def require_small(info: ZipInfo, limit: int, where: str) -> None:
    """Refuse a document that would unfold to more than `limit` bytes, or suspiciously far.

    Raises:
        SceneError: It is too large.
    """
    if info.file_size > limit:
        raise SceneError(f"{where}: {info.file_size} bytes of metadata, more than the {limit} allowed; not read")
    if info.file_size > SMALL and info.file_size > RATIO_LIMIT * info.compress_size:
        raise SceneError(f"{where}: {info.compress_size} bytes unfold to {info.file_size}; a zip bomb, not read")


def _fault(info: ZipInfo) -> str | None:
    """Why a member cannot be trusted or read, if so."""
    name, kind = info.orig_filename, stat.S_IFMT(info.external_attr >> 16)
    if not name or name.startswith("/") or "\\" in name or DRIVE.match(name) or ".." in name.split("/"):
        return "leads out of its folder; not to be trusted, download it again"
    if not name.isprintable():
        return "has control characters in its name; not to be trusted, download it again"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or device, not a file; not to be trusted, download it again"
    if info.flag_bits & ENCRYPTED:
        return "is encrypted; unpack it and zip it again without a password"
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        return f"is compressed by method {info.compress_type}, which cannot be read in place; zip it again with deflate"
    return None


def _require_sizes(archive: ZipFile, members: dict[str, ZipInfo], where: str) -> None:
    assert archive.fp is not None, "an open archive"
    size = archive.fp.seek(0, 2)
    packed = sum(info.compress_size for info in members.values())
    unpacked = sum(info.file_size for info in members.values())
    # members that overlap are how small files unfold to petabytes
    if packed > size or any(info.header_offset + info.compress_size > size for info in members.values()):
        raise SceneError(f"{where}: its directory counts {packed} bytes, the file has {size}; download it again")
    if unpacked > SMALL and unpacked > RATIO_LIMIT * size:
        raise SceneError(f"{where}: {size} bytes unfold to {unpacked}; a zip bomb, not read")
