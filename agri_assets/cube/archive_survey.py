"""The first pass over an archive: every image decoded once, refused or given its content hash."""

import hashlib
import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from agri_assets.cube.archive_decode import UnusableImageError, decode, units_of
from agri_assets.cube.archive_files import Archive, ArchiveImage
from agri_assets.cube.archive_ground import Place
from agri_assets.cube.cores import worker_count
from agri_assets.cube.schema import Units
from agri_assets.errors import ArchiveError
from agri_assets.progress import meter

BATCH = 256
"""Images a worker takes at a time."""


@dataclass(frozen=True)
class Sample:
    """One usable image.

    Attributes:
        image: Where it is in the archive.
        cell: Hash of its class and pixels, which gives it its place in the cube.
        content: Hash of its pixels alone.
        units: What its values mean.
        place: Where it lies, by the file itself; None where it does not say.
    """

    image: ArchiveImage
    cell: str
    content: str
    units: Units
    place: Place | None


@dataclass(frozen=True)
class _Unusable:
    image: ArchiveImage
    reason: str


def survey(archive: Archive, bands: int, tile_size: int) -> tuple[Sample, ...]:
    """All samples in order of content hash, so that neighbours in the cube mix the classes.

    Raises:
        ArchiveError: An image is broken, or its size, bands or type do not fit; says how many, names the first.
    """
    batches = [archive.images[start : start + BATCH] for start in range(0, len(archive.images), BATCH)]
    found: list[Sample | _Unusable] = []
    with (
        ThreadPoolExecutor(worker_count()) as pool,
        meter(f"{archive.path.name}: checking images", len(archive.images), "images") as counter,
    ):
        for result in pool.map(_survey_batch, itertools.repeat(archive), batches, *_same(bands, tile_size)):
            found.extend(result)
            counter.advance(len(result))
    _refuse_unusable(archive, found)
    samples = [item for item in found if isinstance(item, Sample)]
    return tuple(sorted(samples, key=lambda sample: (sample.cell, sample.image.relative)))


def load(archive: Archive, image: ArchiveImage, bands: int, tile_size: int) -> npt.NDArray[np.uint16]:
    """The pixels of one image as the cube stores them, (bands, tile_size, tile_size).

    Raises:
        ArchiveError: It was usable a moment ago and no longer is.
    """
    try:
        return decode(archive.read(image), image.name, bands, tile_size).pixels.astype(np.uint16)
    except (UnusableImageError, OSError, BadZipFile) as error:
        raise ArchiveError(f"{archive.path}: {image.relative} changed while it was read ({error}); try again") from None


def _same(*values: int) -> list["itertools.repeat[int]"]:
    return [itertools.repeat(value) for value in values]


def _survey_batch(
    archive: Archive, images: Sequence[ArchiveImage], bands: int, tile_size: int
) -> list[Sample | _Unusable]:
    return [_survey_one(archive, image, bands, tile_size) for image in images]


def _survey_one(archive: Archive, image: ArchiveImage, bands: int, tile_size: int) -> Sample | _Unusable:
    try:
        decoded = decode(archive.read(image), image.name, bands, tile_size)
    except UnusableImageError as error:
        return _Unusable(image, str(error))
    except (OSError, BadZipFile) as error:
        return _Unusable(image, f"it cannot be read ({error})")
    pixels = decoded.pixels
    values = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<")).data
    cell, content = (hashlib.sha256(f"{name}\0{pixels.dtype.name}\0".encode()) for name in (image.class_name, ""))
    cell.update(values)
    content.update(values)
    return Sample(image, cell.hexdigest(), content.hexdigest(), units_of(pixels), decoded.place)


def _refuse_unusable(archive: Archive, found: Sequence[Sample | _Unusable]) -> None:
    bad = [item for item in found if isinstance(item, _Unusable)]
    if bad:
        raise ArchiveError(
            f"{archive.path}: {len(bad)} of {len(found)} images cannot be used, the first {bad[0].image.relative}: "
            f"{bad[0].reason}; replace or remove {'it' if len(bad) == 1 else 'them'}"
        )
    by_units = {item.units: item.image.relative for item in found if isinstance(item, Sample)}
    if len(by_units) > 1:
        names = ", ".join(f"{name} is {units}" for units, name in sorted(by_units.items()))
        raise ArchiveError(f"{archive.path}: mixes 8-bit and 16-bit images ({names}); keep one kind")
