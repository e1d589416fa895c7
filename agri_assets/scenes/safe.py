"""Sentinel-2 L2A products as ESA delivers them: `.SAFE` directories and their zips, read from their metadata alone."""

import re
from datetime import datetime
from pathlib import Path

from agri_assets.errors import SceneError
from agri_assets.scenes.agreement import Stated, require_agreement
from agri_assets.scenes.footprint import polygon
from agri_assets.scenes.metadata_xml import SIZE_LIMIT, Document, descendants, parse_xml
from agri_assets.scenes.naming import BANDS, CLASSIFICATION, acquisition, platform_name, scene_id, utc_time
from agri_assets.scenes.product_files import ProductFiles, ZipFiles, open_product
from agri_assets.scenes.radiometry import decide_safe
from agri_assets.scenes.record import Radiometry, SceneRecord
from agri_assets.scenes.safe_images import Images, listed_images, locate
from agri_assets.scenes.safe_tile import agreed_tile, tile_grid, tile_metadata

INSTRUMENT = (*BANDS[:-2], "B10", *BANDS[-2:])
"""The instrument's thirteen bands; their position is the `band_id` of the metadata."""

BASELINE = re.compile(r"\d{2}\.\d{2}", re.ASCII)
TIME = r"\d{8}T\d{6}"
DATATAKE_START = re.compile(rf"GS2[A-D]_({TIME})_", re.ASCII)
DATASTRIP_START = re.compile(rf"_S({TIME})_", re.ASCII)
GRANULE_START = re.compile(rf"L2A_T\w+_A\d+_({TIME})", re.ASCII)
"""A granule's folder since 2017 ends with its datastrip's start; the time in older names is that of processing."""


def read_safe(path: Path) -> SceneRecord:
    """The record of a product; no raster is opened.

    Args:
        path: A product's folder, whatever it is called, or its zip, which is read in place.

    Raises:
        SceneError: It is no Level-2A product, its metadata are missing, broken or contradict each other, or the zip is
            damaged or not to be trusted.
    """
    with open_product(path) as files:
        return _read(files)


def _read(files: ProductFiles) -> SceneRecord:
    product = parse_xml(files.read_bytes(files.metadata, SIZE_LIMIT), files.where(files.metadata))
    _require_level(product)
    images = listed_images(product)
    granule = tile_metadata(files, images.granule)
    tile = agreed_tile(product, granule, images)
    grid = tile_grid(granule, tile, images.finest)
    platform = platform_name(product.text("SPACECRAFT_NAME"), product.where)
    acquired = utc_time(product.text("PRODUCT_START_TIME"), product.where)
    _require_own_name(product, acquired)
    radiometry = _radiometry(product, images, files.location.name)
    found = {name: locate(files, one, images.suffixes, radiometry.offset) for name, one in images.by_band.items()}
    return SceneRecord(
        scene_id=scene_id(platform, tile, acquired),
        source="safe_zip" if isinstance(files, ZipFiles) else "safe",
        location=str(files.location),
        platform=platform,
        mgrs_tile=tile,
        level="L2A",
        acquired=acquired,
        processing_baseline=_baseline(product),
        cloud_cover=_cloud_cover(product),
        crs=grid.crs,
        transform=grid.transform,
        shape=(grid.height, grid.width),
        bands={name: found[name][0] for name in BANDS if name in found},
        classification=found[CLASSIFICATION][0] if CLASSIFICATION in found else None,
        radiometry=radiometry,
        footprint=_footprint(product),
        readable=all(there for _, there in found.values()),
        fingerprint=files.stamp(),
        acquisition=acquisition(platform, tile, *_starts(product, granule, images, acquired)),
        generated=product.optional("GENERATION_TIME") or "",
    )


def _require_level(product: Document) -> None:
    """Only Level-2A, and not a product whose name says otherwise."""
    level, uri = product.optional("PROCESSING_LEVEL") or "", product.optional("PRODUCT_URI", "PRODUCT_URI_2A") or ""
    if "2A" not in level.upper():
        raise SceneError(f"{product.where}: PROCESSING_LEVEL is {level[:40]!r}; only Level-2A can be used")
    if "MSIL1C" in uri.upper():
        raise SceneError(
            f"{product.where}: metadata contradict each other: PROCESSING_LEVEL is {level[:40]!r}, but PRODUCT_URI is "
            f"{uri[:80]!r}; download the product again"
        )


def _require_own_name(product: Document, acquired: datetime) -> None:
    """Satellite and time must be those of the product's name."""
    require_agreement(
        product.where,
        {"PRODUCT_URI": product.optional("PRODUCT_URI", "PRODUCT_URI_2A")},
        Stated("SPACECRAFT_NAME", product.text("SPACECRAFT_NAME")),
        Stated("PRODUCT_START_TIME", product.text("PRODUCT_START_TIME")),
        acquired,
    )


def _baseline(product: Document) -> str:
    found = product.text("PROCESSING_BASELINE")
    if not BASELINE.fullmatch(found):
        raise SceneError(f"{product.where}: PROCESSING_BASELINE is {found[:40]!r}, expected a form such as 05.09")
    return found


def _radiometry(product: Document, images: Images, name: str) -> Radiometry:
    # sen2cor before 2.8 wrote L2A_BOA_QUANTIFICATION_VALUE
    scale = product.optional("BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE")
    quantification = product.whole(scale, "BOA_QUANTIFICATION_VALUE") if scale else None
    return decide_safe(name, _baseline(product), _complete(_offsets(product), images, product), quantification)


def _offsets(product: Document) -> dict[str, int] | None:
    """BOA_ADD_OFFSET by band id; None where the product has no list of them.

    Raises:
        SceneError: One is no whole number, or a band has two.
    """
    lists = list(product.elements("BOA_ADD_OFFSET_VALUES_LIST"))
    if not lists:
        return None
    found: dict[str, int] = {}
    for position, node in enumerate(node for one in lists for node in descendants(one, "BOA_ADD_OFFSET")):
        band, value = node.get("band_id", f"#{position}"), product.whole(node.text or "", "BOA_ADD_OFFSET")
        if found.setdefault(band, value) != value:
            raise SceneError(
                f"{product.where}: metadata contradict each other: BOA_ADD_OFFSET of band_id {band[:20]!r} is "
                f"{found[band]} and {value}; download the product again"
            )
    return found


def _complete(offsets: dict[str, int] | None, images: Images, product: Document) -> dict[str, int] | None:
    """The offsets, if every band that the product lists has one; band ids are the instrument's, from 0 for B01."""
    listed = [band for band in BANDS if band in images.by_band]
    absent = [band for band in listed if offsets is not None and str(INSTRUMENT.index(band)) not in offsets]
    if absent:
        raise SceneError(
            f"{product.where}: BOA_ADD_OFFSET_VALUES_LIST has no BOA_ADD_OFFSET for {', '.join(absent)}; the metadata "
            "are incomplete, download the product again"
        )
    return offsets


def _footprint(product: Document) -> dict[str, object]:
    values = [product.number(value, "EXT_POS_LIST") for value in product.text("EXT_POS_LIST").split()]
    if len(values) < 6 or len(values) % 2:
        raise SceneError(f"{product.where}: EXT_POS_LIST holds {len(values)} numbers, not pairs of coordinates")
    points = list(zip(values[1::2], values[::2], strict=True))
    for lon, lat in points:
        if abs(lat) > 90 or abs(lon) > 180:
            raise SceneError(f"{product.where}: EXT_POS_LIST holds latitude {lat:g}, longitude {lon:g}; not usable")
    return polygon(points)


def _cloud_cover(product: Document) -> float | None:
    found = product.optional("Cloud_Coverage_Assessment")
    percent = product.number(found, "Cloud_Coverage_Assessment") if found else None
    if percent is not None and not 0 <= percent <= 100:
        raise SceneError(f"{product.where}: Cloud_Coverage_Assessment is {percent:g}, expected 0 to 100; not usable")
    return percent


def _starts(product: Document, granule: Document | None, images: Images, acquired: datetime) -> tuple[str, str]:
    """When the datatake and the datastrip began; both the same in old and new names and for every processing."""
    datatake = next((node.get("datatakeIdentifier", "") for node in product.elements("Datatake")), "")
    taken = DATATAKE_START.match(datatake)
    listed = [node.get("datastripIdentifier", "") for node in product.elements("Granule")]
    own = granule.optional("DATASTRIP_ID", "DATASTRIP_ID_2A") if granule else None
    strips = [found for one in (*listed, own or "") if (found := DATASTRIP_START.search(one))]
    folder = GRANULE_START.match(images.granule)
    strip = strips[0] if strips else folder
    return taken[1] if taken else f"{acquired:%Y%m%dT%H%M%S}", strip[1] if strip else ""
