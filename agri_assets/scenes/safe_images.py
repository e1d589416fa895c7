"""The rasters that a SAFE product lists, and where each is."""

import re
from dataclasses import dataclass

from agri_assets.errors import SceneError
from agri_assets.scenes.metadata_xml import Document
from agri_assets.scenes.naming import BANDS, CLASSIFICATION, native_resolution
from agri_assets.scenes.product_files import ProductFiles
from agri_assets.scenes.record import BandRecord

IMAGE_NAME = re.compile(r"_(B\d[0-9A]|SCL)_(10|20|60)m(?:\.(?:jp2|tif))?$", re.ASCII)
"""Band and resolution at the end of an IMAGE_FILE entry, which has no suffix as ESA writes it."""

GRANULE = re.compile(r"GRANULE/(?P<folder>[^/]+)/")
SUFFIXES = {"JPEG2000": (".jp2", ".tif"), "GeoTIFF": (".tif", ".jp2")}
"""Where a band's file may be, by the product's imageFormat (converted products name GeoTIFF)."""


@dataclass(frozen=True)
class Image:
    """One raster of a product: its name without suffix, relative to the product, and its pixel size in metres."""

    band: str
    stem: str
    resolution: float


@dataclass(frozen=True)
class Images:
    """What a product lists.

    Attributes:
        by_band: One raster per band, and SCL's: at the native resolution where listed, else the finest.
        granule: Folder of the one granule, below `GRANULE/`.
        suffixes: Suffixes that the rasters may have, the likelier first.
    """

    by_band: dict[str, Image]
    granule: str
    suffixes: tuple[str, ...]

    @property
    def finest(self) -> float:
        """Pixel size of the finest band in metres."""
        return min(image.resolution for band, image in self.by_band.items() if band in BANDS)


def listed_images(document: Document) -> Images:
    """The rasters of a product of one granule.

    Raises:
        SceneError: It lists none, names that lead out of the product, or several granules.
    """
    found: dict[str, Image] = {}
    for node in document.elements("IMAGE_FILE", "IMAGE_FILE_2A"):
        image = _image((node.text or "").strip(), document.where)
        if image is not None:
            found[image.band] = min(image, found.get(image.band, image), key=_preference)
    if not set(found) & set(BANDS):
        raise SceneError(f"{document.where}: lists no band images (IMAGE_FILE); the metadata are incomplete")
    granules = list(document.elements("Granule", "Granules"))
    folders = sorted({match["folder"] for image in found.values() if (match := GRANULE.match(image.stem))})
    if len(granules) > 1 or len(folders) != 1:
        raise SceneError(
            f"{document.where}: lists {max(len(granules), len(folders))} granules, expected 1; only products of a "
            "single tile can be used, download each tile's own product"
        )
    written = granules[0].get("imageFormat", "") if granules else ""
    return Images(found, folders[0], SUFFIXES.get(written, SUFFIXES["JPEG2000"]))


def locate(files: ProductFiles, image: Image, suffixes: tuple[str, ...], offset: int) -> tuple[BandRecord, bool]:
    """Where a band's raster is, or, where it is absent, where it should be; and whether it is there."""
    candidates = [f"{image.stem}{suffix}" for suffix in suffixes]
    name = next((name for name in candidates if files.exists(name)), None)
    reflectance = image.band != CLASSIFICATION
    record = BandRecord(
        href=files.href(name or candidates[0]),
        resolution=image.resolution,
        offset=offset if reflectance else 0,
        scale=1e-4 if reflectance else 1.0,
    )
    return record, name is not None


def _image(entry: str, where: str) -> Image | None:
    named = IMAGE_NAME.search(entry)
    if named is None or (named[1] not in BANDS and named[1] != CLASSIFICATION):
        return None
    # an entry is joined to the product's path: nothing but names may be in it
    if "\\" in entry or not entry.isprintable() or any(part in ("", ".", "..") for part in entry.split("/")):
        raise SceneError(f"{where}: IMAGE_FILE {entry[:120]!r} leads out of the product; not usable")
    return Image(named[1], entry.removesuffix(".jp2").removesuffix(".tif"), float(named[2]))


def _preference(image: Image) -> tuple[bool, float]:
    return image.resolution != native_resolution(image.band), image.resolution
