"""STAC items of Sentinel-2 L2A: Earth Search v0 and v1, Planetary Computer, and copies of them on disk."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agri_assets.errors import SceneError
from agri_assets.scenes.naming import (
    BANDS,
    CLASSIFICATION,
    acquisition,
    platform_name,
    scene_id,
    tile_in,
    tile_name,
    utc_time,
)
from agri_assets.scenes.radiometry import Evidence, decide_stac
from agri_assets.scenes.rasters import RasterFacts, raster_facts
from agri_assets.scenes.record import Affine, BandRecord, Radiometry, SceneRecord
from agri_assets.scenes.stac_assets import BandAsset, Json, band_assets
from agri_assets.store.fingerprint import file_stamp, fingerprint

SIZE_LIMIT = 16 * 2**20
"""Largest JSON document read, in bytes; real items are below 100 kB."""

STARTS = re.compile(r"\d{8}T\d{6}")


def read_json_document(path: Path) -> dict[str, Any]:
    """A STAC document: a JSON object of bounded size.

    Raises:
        SceneError: It is missing, too large, or not a JSON object.
    """
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise SceneError(f"{path}: larger than the {SIZE_LIMIT} bytes allowed; not a STAC document")
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise SceneError(f"{path}: not a readable STAC document ({' '.join(str(error).split())})") from None
    if not isinstance(document, dict):
        raise SceneError(f"{path}: expected a JSON object, found {type(document).__name__}; not a STAC document")
    return document


def is_item(document: Json) -> bool:
    """Whether a JSON document is a STAC item rather than a catalogue, a collection, or anything else."""
    return document.get("type") == "Feature" and isinstance(document.get("properties"), Mapping)


def item_tile(item: Json) -> str | None:
    """The MGRS tile of an item, from the fields that providers use, else from its name."""
    properties = item["properties"]
    for field in ("grid:code", "s2:mgrs_tile"):
        if isinstance(value := properties.get(field), str):
            return tile_name(value)
    parts = [properties.get(f"mgrs:{field}") for field in ("utm_zone", "latitude_band", "grid_square")]
    if all(parts):
        return tile_name("".join(str(part) for part in parts))
    return tile_in(str(item.get("id", "")))


def read_item(path: Path) -> SceneRecord:
    """The record of a STAC item on disk.

    Rasters on disk are opened and believed where the item says otherwise; remote ones are taken as declared.

    Raises:
        SceneError: It is no usable Level-2A item, or its statements exclude each other.
    """
    item = read_json_document(path)
    if not is_item(item):
        raise SceneError(f"{path}: not a STAC item (type {item.get('type')!r}); name an item, or a .SAFE directory")
    _require_level_2a(item, path)
    assets = band_assets(item.get("assets") or {}, path.parent, str(path))
    if not set(assets) & set(BANDS):
        raise SceneError(f"{path}: the item has no band assets; fetch it again without a fields filter")
    properties = item["properties"]
    try:
        return _record(item, properties, assets, path)
    except (KeyError, TypeError, AttributeError) as error:
        raise SceneError(
            f"{path}: a needed field is missing or of the wrong type ({error}); the item is broken"
        ) from None


def item_stamp(path: Path) -> str:
    """Changes when the item or one of its rasters on disk does."""
    item = read_json_document(path)
    assets = band_assets(item.get("assets") or {}, path.parent, str(path))
    rasters = [Path(asset.href) for asset in assets.values() if asset.local and Path(asset.href).exists()]
    return fingerprint(item=hashlib.sha256(path.read_bytes()).hexdigest(), rasters=[file_stamp(one) for one in rasters])


def _record(item: Json, properties: Json, assets: dict[str, BandAsset], path: Path) -> SceneRecord:
    tile = item_tile(item)
    if tile is None:
        raise SceneError(f"{path}: no grid:code, s2:mgrs_tile or tile in the id; cannot tell its MGRS tile")
    platform, acquired = platform_name(properties["platform"]), utc_time(properties["datetime"], path)
    facts = {
        band: raster_facts(Path(one.href)) for band, one in assets.items() if one.local and Path(one.href).exists()
    }
    radiometry = _radiometry(properties, assets, facts, path)
    bands = {band: _band(band, asset, facts.get(band), radiometry.offset) for band, asset in assets.items()}
    crs, transform, shape = _geometry(item, assets, facts, path)
    cover = properties.get("eo:cloud_cover")
    return SceneRecord(
        scene_id=scene_id(platform, tile, acquired, int(properties.get("s2:sequence") or 0)),
        source="stac",
        location=str(path),
        platform=platform,
        mgrs_tile=tile,
        level="L2A",
        acquired=acquired,
        processing_baseline=properties["s2:processing_baseline"],
        cloud_cover=None if cover is None else float(cover),
        crs=crs,
        transform=transform,
        shape=shape,
        bands={name: bands[name] for name in BANDS if name in bands},
        classification=bands.get(CLASSIFICATION),
        radiometry=radiometry,
        footprint=dict(item["geometry"]),
        readable=all(Path(asset.href).exists() for asset in assets.values() if asset.local),
        fingerprint=item_stamp(path),
        acquisition=_acquisition(properties, platform, tile, f"{acquired:%Y%m%dT%H%M%S}"),
        generated=str(properties.get("s2:generation_time") or ""),
    )


def _require_level_2a(item: Json, path: Path) -> None:
    properties = item["properties"]
    said = [properties.get("s2:product_type"), properties.get("s2:product_uri"), item.get("collection"), item.get("id")]
    statement = " ".join(str(value) for value in said if value).upper()
    if "L1C" in statement or "MSI1C" in statement:
        raise SceneError(f"{path}: a Level-1C item; only Level-2A can be used")
    if "L2A" not in statement and "MSI2A" not in statement:
        raise SceneError(f"{path}: neither s2:product_type nor id says Level-2A; only that can be used")


def _radiometry(
    properties: Json, assets: dict[str, BandAsset], facts: Mapping[str, RasterFacts], path: Path
) -> Radiometry:
    applied = properties.get("earthsearch:boa_offset_applied")
    declared = {band: asset.offset for band, asset in assets.items() if asset.offset is not None}
    baseline = properties.get("s2:processing_baseline")
    if not isinstance(baseline, str):
        raise SceneError(f"{path}: no s2:processing_baseline; cannot tell whether an offset is in the pixels")
    decided = decide_stac(str(path), baseline, applied if isinstance(applied, bool) else None, declared)
    return decided.model_copy(update={"evidence": {**decided.evidence, **_discrepancies(assets, facts)}})


def _discrepancies(assets: dict[str, BandAsset], facts: Mapping[str, RasterFacts]) -> Evidence:
    """Where the item and its rasters disagree; the rasters are believed."""
    found: Evidence = {}
    for band, fact in sorted(facts.items()):
        asset, grid = assets[band], fact.grid
        if asset.shape and asset.shape != (grid.height, grid.width):
            found[f"{band} raster"] = (
                f"{grid.height} x {grid.width} px of {grid.resolution:g} m, believed over the item's "
                f"{asset.shape[0]} x {asset.shape[1]} px of {asset.resolution:g} m"
            )
        if asset.beside:
            found[f"{band} file"] = "the file beside the item, instead of its remote address"
    return found


def _band(band: str, asset: BandAsset, facts: RasterFacts | None, offset: int) -> BandRecord:
    is_class = band == CLASSIFICATION
    nodata = facts.nodata if facts and facts.nodata is not None else asset.nodata
    return BandRecord(
        href=asset.href,
        resolution=facts.grid.resolution if facts else asset.resolution,
        offset=0 if is_class else offset,
        scale=1.0 if is_class else 1e-4,
        nodata=int(nodata),
    )


def _geometry(
    item: Json, assets: dict[str, BandAsset], facts: Mapping[str, RasterFacts], path: Path
) -> tuple[str, Affine, tuple[int, int]]:
    """CRS, transform and shape of the finest band: of the rasters on disk if there are any, else as declared."""
    known = [facts[band].grid for band in BANDS if band in facts]
    if known:
        grid = min(known, key=lambda one: one.resolution)
        return grid.crs, grid.transform, (grid.height, grid.width)
    declared = [one for band, one in assets.items() if band in BANDS and one.transform and one.shape]
    code = item["properties"].get("proj:code") or item["properties"].get("proj:epsg")
    if not declared or not code:
        raise SceneError(f"{path}: no raster on disk and no proj:transform, proj:shape and proj:epsg; grid unknown")
    finest = min(declared, key=lambda one: one.resolution)
    a, b, c, d, e, f = finest.transform or ()
    crs = str(code) if ":" in str(code) else f"EPSG:{code}"
    return crs, (a, b, c, d, e, f), finest.shape or (0, 0)


def _acquisition(properties: Json, platform: str, tile: str, acquired: str) -> str:
    """As for SAFE products: the datatake's start, and the datastrip's, which is the second time in its identifier."""
    taken = STARTS.findall(str(properties.get("s2:datatake_id", "")))
    strip = STARTS.findall(str(properties.get("s2:datastrip_id", "")))
    return acquisition(platform, tile, taken[0] if taken else acquired, strip[-1] if strip else "")
