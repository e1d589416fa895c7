"""A SAFE product as what a STAC provider would serve: one COG per band and an item, pixels and offset kept."""

import json
from pathlib import Path
from typing import Any

import rasterio
from rasterio.shutil import copy as copy_raster

from agri_assets.scenes.record import BandRecord, SceneRecord
from agri_assets.scenes.safe import read_safe

BLOCK = 512


def convert_product(product: Path, folder: Path) -> Path:
    """Write a product's COGs and its item below `folder`; returns the item's path."""
    record = read_safe(product)
    target = folder / record.scene_id
    target.mkdir(parents=True, exist_ok=True)
    layers = {**record.bands, **({"SCL": record.classification} if record.classification else {})}
    assets = {name: _asset(name, band, target) for name, band in layers.items()}
    item = target / f"{record.scene_id}.json"
    item.write_text(json.dumps(_item(record, assets), indent=1))
    return item


def write_catalog(folder: Path, items: list[Path]) -> Path:
    """A static catalogue over items; returns its path."""
    links = [{"rel": "item", "href": f"./{item.relative_to(folder)}", "type": "application/geo+json"} for item in items]
    catalog = folder / "catalog.json"
    document = {"type": "Catalog", "stac_version": "1.0.0", "id": folder.name, "description": "converted products"}
    catalog.write_text(json.dumps({**document, "links": links}, indent=1))
    return catalog


def _asset(name: str, band: BandRecord, target: Path) -> dict[str, Any]:
    path = target / f"{name}.tif"
    with rasterio.open(band.href) as source:
        options = {"driver": "COG", "compress": "deflate", "predictor": 2, "blocksize": BLOCK}
        copy_raster(source, path, overview_resampling="nearest", **options)
        shape, transform = [source.height, source.width], list(source.transform)[:6]
    raster: dict[str, Any] = {"nodata": 0, "data_type": "uint8" if name == "SCL" else "uint16"}
    if name != "SCL":
        raster |= {"scale": band.scale, "offset": band.offset * band.scale}
    return {
        "href": f"./{path.name}",
        "type": "image/tiff; application=geotiff; profile=cloud-optimized",
        "eo:bands": [{"name": name}],
        "raster:bands": [raster],
        "proj:shape": shape,
        "proj:transform": transform,
        "file:size": path.stat().st_size,
        "roles": ["data"],
    }


def _item(record: SceneRecord, assets: dict[str, Any]) -> dict[str, Any]:
    tile = record.mgrs_tile
    stamp = f"{record.acquired:%Y%m%dT%H%M%S}"
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": record.scene_id,
        "collection": "sentinel-2-l2a",
        "geometry": record.footprint,
        "properties": {
            "datetime": record.acquired.isoformat().replace("+00:00", "Z"),
            "platform": record.platform,
            "grid:code": f"MGRS-{tile}",
            "proj:epsg": int(record.crs.rpartition(":")[2]),
            "eo:cloud_cover": record.cloud_cover,
            "s2:processing_baseline": record.processing_baseline,
            "s2:product_type": "S2MSI2A",
            "s2:datatake_id": f"G{record.platform[-2:].upper()}_{stamp}_000000_N{record.processing_baseline}",
        },
        "links": [],
        "assets": assets,
    }
