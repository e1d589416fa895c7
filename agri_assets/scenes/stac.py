"""STAC items of Sentinel-2 L2A: Earth Search v0 and v1, Planetary Computer, and copies of them on disk."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

from agri_assets.errors import SceneError
from agri_assets.scenes.agreement import Stated, require_agreement
from agri_assets.scenes.footprint import crosses, cut
from agri_assets.scenes.naming import BANDS, CLASSIFICATION, acquisition, platform_name, scene_id, utc_time
from agri_assets.scenes.radiometry import decide_stac
from agri_assets.scenes.rasters import raster_facts
from agri_assets.scenes.record import Affine, BandRecord, Radiometry, SceneRecord
from agri_assets.scenes.stac_assets import BandAsset, band_assets
from agri_assets.scenes.stac_document import Json, StacItem, open_item
from agri_assets.scenes.stac_place import agreed_tile, require_place
from agri_assets.scenes.stac_rasters import believe_rasters
from agri_assets.store.fingerprint import file_stamp, fingerprint

STARTS = re.compile(r"\d{8}T\d{6}")

BOOKKEEPING = ("created", "updated", "published", "expires", "earthsearch:payload_id", "processing:software")
"""Properties that a catalogue changes without touching the scene."""

FILTERED = "fetch it again without a fields filter"


def read_item(location: Path | str, sign: str | None = None) -> SceneRecord:
    """The record of a STAC item in a file or at an address.

    Rasters on disk are opened and believed where the item says otherwise; remote ones are taken as declared, until
    `believe_rasters` opens them.

    Args:
        location: A path or an address.
        sign: How addresses are signed; by their host where it is None.

    Raises:
        SceneError: It is no usable Level-2A item, or its statements exclude each other.
        RemoteError: The host does not give it, after all retries.
    """
    item = open_item(location)
    return require_place(record_of(item, sign), item)


def record_of(item: StacItem, sign: str | None = None) -> SceneRecord:
    """The record of an item; see `read_item`. Its place is not looked at: remote rasters are yet to be believed.

    Raises:
        SceneError: It is no usable Level-2A item, or its statements exclude each other.
    """
    try:
        return believe_rasters(_declared(item, sign), remote=False)
    except (LookupError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise SceneError(
            f"{item.location}: a needed field is missing or of the wrong type ({' '.join(str(error).split())}); "
            "the item is broken"
        ) from None


def item_stamp(item: StacItem) -> str:
    """Changes when what the item says of its scene does, or one of its rasters on disk."""
    assets = band_assets(item)
    rasters = [Path(asset.href) for asset in assets.values() if asset.local and Path(asset.href).exists()]
    return fingerprint(
        properties={key: value for key, value in item.properties.items() if key not in BOOKKEEPING},
        geometry=item.document.get("geometry"),
        assets={band: vars(asset) for band, asset in assets.items()},
        rasters=[file_stamp(one) for one in rasters],
    )


def _declared(item: StacItem, sign: str | None) -> SceneRecord:
    """The record as the item has it."""
    properties = item.properties
    _require_level_2a(item)
    assets = band_assets(item)
    if not set(assets) & set(BANDS):
        raise SceneError(f"{item.location}: the item has no band assets; {FILTERED}")
    tile = agreed_tile(item)
    platform = platform_name(properties["platform"], item.location)
    acquired = utc_time(properties["datetime"], item.location)
    _require_own_names(item, acquired)
    radiometry = _radiometry(item, assets)
    bands = {band: _band(band, asset, radiometry.offset, sign) for band, asset in assets.items()}
    crs, transform, shape = _grid(item, assets, bands)
    return SceneRecord(
        scene_id=scene_id(platform, tile, acquired, int(properties.get("s2:sequence") or 0)),
        source="stac",
        location=item.location,
        platform=platform,
        mgrs_tile=tile,
        level="L2A",
        acquired=acquired,
        processing_baseline=properties["s2:processing_baseline"],
        cloud_cover=_percent(properties.get("eo:cloud_cover")),
        crs=crs,
        transform=transform,
        shape=shape,
        bands={name: bands[name] for name in BANDS if name in bands},
        classification=bands.get(CLASSIFICATION),
        radiometry=radiometry,
        footprint=_footprint(item),
        readable=all(Path(asset.href).exists() for asset in assets.values() if asset.local),
        fingerprint=item_stamp(item),
        acquisition=_acquisition(properties, platform, tile, f"{acquired:%Y%m%dT%H%M%S}"),
        generated=str(properties.get("s2:generation_time") or ""),
    )


def _require_own_names(item: StacItem, acquired: datetime) -> None:
    properties = item.properties
    names = {"id": item.document.get("id"), "s2:product_uri": properties.get("s2:product_uri")}
    require_agreement(
        item.location,
        {field: name for field, name in names.items() if isinstance(name, str)},
        Stated("platform", properties["platform"]),
        Stated("datetime", properties["datetime"]),
        acquired,
    )


def _percent(value: Any) -> float | None:
    if value is not None and not 0 <= float(value) <= 100:
        raise ValueError(f"eo:cloud_cover is {value}")
    return None if value is None else float(value)


def _require_level_2a(item: StacItem) -> None:
    properties, document = item.properties, item.document
    said = [
        *(properties.get(field) for field in ("s2:product_type", "s2:product_uri", "product:type")),
        *(document.get(field) for field in ("collection", "id")),
    ]
    statement = " ".join(str(value) for value in said if value).upper()
    if "L1C" in statement or "MSI1C" in statement:
        raise SceneError(f"{item.location}: a Level-1C item; only Level-2A can be used")
    if "L2A" not in statement and "MSI2A" not in statement:
        raise SceneError(f"{item.location}: neither s2:product_type nor id says Level-2A; only that can be used")


def _radiometry(item: StacItem, assets: dict[str, BandAsset]) -> Radiometry:
    applied = item.properties.get("earthsearch:boa_offset_applied")
    declared = {band: asset.offset for band, asset in assets.items() if asset.offset is not None}
    baseline = item.properties.get("s2:processing_baseline")
    if baseline is not None and not isinstance(baseline, str):
        raise SceneError(
            f"{item.location}: s2:processing_baseline is {baseline!r} ({type(baseline).__name__}), expected text such "
            "as '05.11'; correct the item"
        )
    if baseline is None:
        raise SceneError(
            f"{item.location}: no s2:processing_baseline; cannot tell whether an offset is in the pixels, {FILTERED}"
        )
    decided = decide_stac(item.location, baseline, applied, declared)
    beside = {
        f"{band} file": "file beside the item instead of its address" for band, asset in assets.items() if asset.beside
    }
    return decided.model_copy(update={"evidence": {**decided.evidence, **beside}})


def _band(band: str, asset: BandAsset, offset: int, sign: str | None) -> BandRecord:
    is_class = band == CLASSIFICATION
    return BandRecord(
        href=asset.href,
        resolution=asset.resolution,
        offset=0 if is_class else offset,
        scale=1.0 if is_class else 1e-4,
        nodata=asset.nodata,
        sign="" if asset.local else _sign(asset.href, sign),
    )


def _sign(href: str, sign: str | None) -> str:
    if sign is not None:
        return sign
    # reading items on disk needs no network code
    from agri_assets.remote.signing import signer_for

    return signer_for(href)


def _grid(
    item: StacItem, assets: dict[str, BandAsset], bands: dict[str, BandRecord]
) -> tuple[str, Affine, tuple[int, int]]:
    """CRS, transform and shape of the finest band: as declared, else by that band's raster."""
    finest = min((band for band in BANDS if band in assets), key=lambda band: assets[band].resolution)
    asset = assets[finest]
    code = item.properties.get("proj:code") or item.properties.get("proj:epsg")
    if asset.transform and asset.shape and code:
        a, b, c, d, e, f = asset.transform
        return (str(code) if ":" in str(code) else f"EPSG:{code}"), (a, b, c, d, e, f), asset.shape
    if asset.local and not Path(asset.href).exists():
        raise SceneError(
            f"{item.location}: no raster on disk and no proj:transform, proj:shape and proj:code; grid unknown"
        )
    grid = raster_facts(asset.href, bands[finest].sign).grid
    return grid.crs, grid.transform, (grid.height, grid.width)


def _footprint(item: StacItem) -> dict[str, object]:
    """The item's geometry; cut at the antimeridian where it crosses it unsplit (RFC 7946, section 3.1.9)."""
    geometry = item.document.get("geometry")
    if not isinstance(geometry, dict) or geometry.get("type") not in ("Polygon", "MultiPolygon"):
        raise SceneError(f"{item.location}: the item has no polygon as its geometry; {FILTERED}")
    polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    areas = [[[_point(point) for point in ring] for ring in polygon] for polygon in polygons]
    if not areas or not all(rings and all(len(ring) > 3 for ring in rings) for rings in areas):
        raise SceneError(f"{item.location}: its geometry has a ring of fewer than four points; the item is broken")
    return cut(areas) if any(crosses(rings[0]) for rings in areas) else dict(geometry)


def _point(point: Any) -> tuple[float, float]:
    longitude, latitude = float(point[0]), float(point[1])
    if not (abs(longitude) <= 360 and abs(latitude) <= 90):
        raise ValueError(f"geometry holds {point}")
    return longitude, latitude


def _acquisition(properties: Json, platform: str, tile: str, acquired: str) -> str:
    """As for SAFE products: the datatake's start, and the datastrip's, which is the second time in its identifier."""
    taken = STARTS.findall(str(properties.get("s2:datatake_id", "")))
    strip = STARTS.findall(str(properties.get("s2:datastrip_id", "")))
    return acquisition(platform, tile, taken[0] if taken else acquired, strip[-1] if strip else "")
