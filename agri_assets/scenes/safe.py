"""Sentinel-2 L2A products as ESA delivers them: `.SAFE` directories, read from their metadata alone."""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from xml.etree.ElementTree import Element

from agri_assets.errors import SceneError
from agri_assets.scenes.footprint import polygon
from agri_assets.scenes.metadata_xml import elements, number, optional_text, read_xml, text
from agri_assets.scenes.naming import (
    BANDS,
    CLASSIFICATION,
    acquisition,
    native_resolution,
    platform_name,
    scene_id,
    tile_in,
    utc_time,
)
from agri_assets.scenes.radiometry import decide_safe
from agri_assets.scenes.record import Affine, BandRecord, Radiometry, SceneRecord
from agri_assets.scenes.tile_grid import nominal_grid
from agri_assets.store.fingerprint import file_stamp

IMAGE_NAME = re.compile(r"_(B\d[0-9A]|SCL)_(10|20|60)m$")
"""Band and resolution at the end of an IMAGE_FILE entry."""

GRANULE = re.compile(r"GRANULE/(?P<folder>[^/]+)/")
SENSING_START = re.compile(r"(\d{8}T\d{6})")
SUFFIXES = {"JPEG2000": (".jp2", ".tif"), "GeoTIFF": (".tif", ".jp2")}
"""Where a band's file may be, by the product's imageFormat (converted products name GeoTIFF)."""


@dataclass(frozen=True)
class Image:
    """One raster of a product: its path without suffix, relative to the product, and its pixel size in metres."""

    stem: str
    resolution: float


def read_safe(folder: Path) -> SceneRecord:
    """The record of a `.SAFE` directory; no raster is opened.

    Raises:
        SceneError: It is no Level-2A product, or its metadata are missing, broken or contradict each other.
    """
    path = _product_metadata(folder)
    root = read_xml(path)
    images, suffixes = _images(root, path)
    granule = _granule_folder(images, path)
    tile = tile_in(granule) or tile_in(text(root, "PRODUCT_URI", path))
    if tile is None:
        raise SceneError(f"{path}: neither granule {granule!r} nor PRODUCT_URI names an MGRS tile; not usable")
    platform = platform_name(text(root, "SPACECRAFT_NAME", path))
    acquired = utc_time(text(root, "PRODUCT_START_TIME", path), path)
    radiometry = _radiometry(root, path, folder.name)
    bands = {name: _band(folder, image, suffixes, radiometry.offset) for name, image in images.items()}
    classification = bands.pop(CLASSIFICATION, None)
    crs, transform, shape = _grid(folder, granule, tile, min(band.resolution for band in bands.values()))
    rasters = [*bands.values(), *([classification] if classification else [])]
    return SceneRecord(
        scene_id=scene_id(platform, tile, acquired),
        source="safe",
        location=str(folder),
        platform=platform,
        mgrs_tile=tile,
        level="L2A",
        acquired=acquired,
        processing_baseline=text(root, "PROCESSING_BASELINE", path),
        cloud_cover=_cloud_cover(root, path),
        crs=crs,
        transform=transform,
        shape=shape,
        bands={name: bands[name] for name in BANDS if name in bands},
        classification=classification,
        radiometry=radiometry,
        footprint=_footprint(root, path),
        readable=all(Path(raster.href).exists() for raster in rasters),
        fingerprint=file_stamp(folder),
        acquisition=_acquisition(root, platform, tile, granule, acquired),
        generated=optional_text(root, "GENERATION_TIME") or "",
    )


def _product_metadata(folder: Path) -> Path:
    """The product's own metadata file, whatever its spelling (`MTD_MSIL2A.xml`, `MTD_MSIL2a.xml`)."""
    if not folder.is_dir():
        raise SceneError(f"{folder}: no such directory; name a .SAFE directory")
    names = {path.name.upper(): path for path in folder.glob("*.xml")}
    if found := names.get("MTD_MSIL2A.XML"):
        return found
    if "MTD_MSIL1C.XML" in names:
        raise SceneError(f"{folder}: a Level-1C product; only Level-2A can be used, download that or run Sen2Cor on it")
    raise SceneError(f"{folder}: no MTD_MSIL2A.xml in it; not a Sentinel-2 Level-2A product, or incomplete")


def _images(root: Element, path: Path) -> tuple[dict[str, Image], tuple[str, ...]]:
    """Each band's raster, and SCL's, at its native resolution where listed, else the finest; and suffixes to try."""
    level = optional_text(root, "PROCESSING_LEVEL") or ""
    if "2A" not in level.upper():
        raise SceneError(f"{path}: PROCESSING_LEVEL is {level!r}; only Level-2A can be used")
    found: dict[str, Image] = {}
    for node in [*elements(root, "IMAGE_FILE"), *elements(root, "IMAGE_FILE_2A")]:
        stem = (node.text or "").strip()
        named = IMAGE_NAME.search(stem)
        if named is None or (named[1] not in BANDS and named[1] != CLASSIFICATION):
            continue
        image = Image(stem, float(named[2]))
        found[named[1]] = min(image, found.get(named[1], image), key=lambda one: _preference(named[1], one))
    if not set(found) & set(BANDS):
        raise SceneError(f"{path}: lists no band images (IMAGE_FILE); the metadata are incomplete")
    granules = list(elements(root, "Granule"))
    written = granules[0].get("imageFormat", "") if granules else ""
    return found, SUFFIXES.get(written, SUFFIXES["JPEG2000"])


def _preference(band: str, image: Image) -> tuple[bool, float]:
    return image.resolution != native_resolution(band), image.resolution


def _granule_folder(images: dict[str, Image], path: Path) -> str:
    folders = {found["folder"] for image in images.values() if (found := GRANULE.search(image.stem))}
    if len(folders) != 1:
        raise SceneError(f"{path}: lists {len(folders)} granules, expected 1; only single-tile products can be used")
    return folders.pop()


def _band(folder: Path, image: Image, suffixes: tuple[str, ...], offset: int) -> BandRecord:
    """Where a band's raster is, or, where it is absent, where it should be."""
    stem = (folder / image.stem).resolve()
    if not stem.is_relative_to(folder.resolve()):
        raise SceneError(f"{folder}: IMAGE_FILE {image.stem!r} leads out of the product; not usable")
    candidates = [stem.with_name(stem.name + suffix) for suffix in suffixes]
    href = next((path for path in candidates if path.exists()), candidates[0])
    is_class = stem.name.endswith(f"_{CLASSIFICATION}_{image.resolution:.0f}m")
    return BandRecord(
        href=str(href),
        resolution=image.resolution,
        offset=0 if is_class else offset,
        scale=1.0 if is_class else 1e-4,
    )


def _radiometry(root: Element, path: Path, name: str) -> Radiometry:
    listed = next(elements(root, "BOA_ADD_OFFSET_VALUES_LIST"), None)
    offsets = None
    if listed is not None:
        offsets = {
            node.get("band_id", "?"): round(number((node.text or "").strip(), "BOA_ADD_OFFSET", path))
            for node in elements(listed, "BOA_ADD_OFFSET")
        }
    # sen2cor before 2.8 wrote L2A_BOA_QUANTIFICATION_VALUE
    scale = optional_text(root, "BOA_QUANTIFICATION_VALUE") or optional_text(root, "L2A_BOA_QUANTIFICATION_VALUE")
    quantification = round(number(scale, "BOA_QUANTIFICATION_VALUE", path)) if scale else None
    return decide_safe(name, text(root, "PROCESSING_BASELINE", path), offsets, quantification)


def _grid(folder: Path, granule: str, tile: str, resolution: float) -> tuple[str, Affine, tuple[int, int]]:
    """CRS, transform and shape at one resolution, from MTD_TL.xml; without it, of the tile by its name."""
    path = folder / "GRANULE" / granule / "MTD_TL.xml"
    if not path.exists():
        grid = nominal_grid(tile, resolution)
        return grid.crs, grid.transform, (grid.height, grid.width)
    root = read_xml(path)
    wanted = f"{resolution:.0f}"

    def of(tag: str) -> Element:
        node = next((node for node in elements(root, tag) if node.get("resolution") == wanted), None)
        if node is None:
            raise SceneError(f"{path}: no {tag} at {wanted} m; the metadata are incomplete")
        return node

    size, position = of("Size"), of("Geoposition")
    rows, cols = (round(number(text(size, tag, path), tag, path)) for tag in ("NROWS", "NCOLS"))
    left, top, dx, dy = (number(text(position, tag, path), tag, path) for tag in ("ULX", "ULY", "XDIM", "YDIM"))
    if rows < 1 or cols < 1 or dx != resolution or dy != -resolution:
        raise SceneError(f"{path}: {rows} x {cols} pixels of {dx} x {dy} m at {wanted} m is no north-up grid")
    return text(root, "HORIZONTAL_CS_CODE", path).upper(), (dx, 0.0, left, 0.0, dy, top), (rows, cols)


def _footprint(root: Element, path: Path) -> dict[str, object]:
    values = [number(value, "EXT_POS_LIST", path) for value in text(root, "EXT_POS_LIST", path).split()]
    if len(values) < 6 or len(values) % 2:
        raise SceneError(f"{path}: EXT_POS_LIST holds {len(values)} numbers; expected latitude and longitude pairs")
    return polygon(list(zip(values[1::2], values[::2], strict=True)))


def _cloud_cover(root: Element, path: Path) -> float | None:
    found = optional_text(root, "Cloud_Coverage_Assessment")
    return number(found, "Cloud_Coverage_Assessment", path) if found else None


def _acquisition(root: Element, platform: str, tile: str, granule: str, acquired: datetime) -> str:
    datatake = next(elements(root, "Datatake"), None)
    taken = SENSING_START.search(datatake.get("datatakeIdentifier", "")) if datatake is not None else None
    strip = SENSING_START.search(granule)
    return acquisition(platform, tile, taken[1] if taken else f"{acquired:%Y%m%dT%H%M%S}", strip[1] if strip else "")
