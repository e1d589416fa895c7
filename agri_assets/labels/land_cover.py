"""The stage that writes a tile's land cover on its own grid, from WorldCover or from parcels."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine

from agri_assets.config import Collection
from agri_assets.errors import LabelError
from agri_assets.labels.cover import Cover, LandSource, block_count, blocks
from agri_assets.labels.legend import Legend, write_legend
from agri_assets.labels.parcels import ParcelSource
from agri_assets.labels.picture import write_picture
from agri_assets.labels.settings import ParcelLabels
from agri_assets.labels.worldcover import NODATA
from agri_assets.labels.worldcover_source import WorldCoverSource
from agri_assets.progress import track
from agri_assets.scenes.catalog import catalog_tile
from agri_assets.scenes.grid import TileGrid
from agri_assets.store.commit import staged
from agri_assets.store.fingerprint import fingerprint
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, Table, run_stage

CODE_VERSION = "3"

INTERNAL_TILE = 512
"""Edge of the output's own blocks, in pixels."""

CACHE_BYTES = 48 << 20
"""What GDAL may keep of blocks; rasterio passes the number on as bytes, though GDAL's own option is in megabytes."""

Counts = NDArray[np.int64]


def build_land_cover(collection: Collection, paths: CollectionPaths, tile: str) -> Outcome:
    """Write a tile's land cover: uint8 codes on the tile's grid, 0 where there is no class, their legend in its tags.

    Raises:
        LabelError: There is no land cover, it cannot be read, or it covers nothing of the tile.
        RemoteError: A host does not give it, after all retries.
        StoreError: The tile is not in the catalogue.
    """
    grid = catalog_tile(paths, tile).grid
    source = _source(collection, paths, tile, grid)
    version = fingerprint(code=CODE_VERSION, grid=grid, **source.inputs)
    target = paths.land_cover(tile)

    def work() -> Outcome:
        with source.open() as cover:
            with staged(target) as staging:
                digest, counts = write_cover(staging, grid, cover, f"{collection.name} {tile}: land cover")
                if not counts[1:].any():
                    raise LabelError(
                        f"tile {tile}: {cover.origin} holds no class anywhere in it; add the file that covers the tile"
                    )
            picture = paths.receipt("land_cover", tile).with_name(f"{tile}.png")
            write_picture(target, picture)
            return Outcome(
                path=target,
                fingerprint=version,
                data_version=fingerprint(pixels=digest, legend=cover.legend),
                pictures={"land cover": picture},
                **_figures(cover, counts),
            )

    return run_stage(paths.receipt("land_cover", tile), version, work, f"{collection.name} land_cover {tile}")


def _source(collection: Collection, paths: CollectionPaths, tile: str, grid: TileGrid) -> LandSource:
    if isinstance(collection.labels, ParcelLabels):
        return ParcelSource(collection.labels, tile, grid)
    return WorldCoverSource.of(collection, paths, tile, grid)


def write_cover(target: Path, grid: TileGrid, cover: Cover, what: str) -> tuple[str, Counts]:
    """Write the raster block by block; returns the digest of its pixels and their counts by code."""
    digest, counts = hashlib.sha256(), np.zeros(256, np.int64)
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": 1,
        "height": grid.height,
        "width": grid.width,
        "crs": grid.crs,
        "transform": Affine(*grid.transform),
        "nodata": NODATA,
        "tiled": True,
        "blockxsize": INTERNAL_TILE,
        "blockysize": INTERNAL_TILE,
        "compress": "deflate",
    }
    # blocks come in order and are read once: GDAL's default cache (a share of all memory) would only fill up
    with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES), rasterio.open(target, "w", **profile) as out:
        write_legend(out, cover.legend)
        for window in track(blocks(grid), what, block_count(grid), "blocks"):
            codes = cover.read(window)
            out.write(codes, 1, window=window)
            digest.update(codes.tobytes())
            counts += np.bincount(codes.ravel(), minlength=256)
    return digest.hexdigest(), counts


def _figures(cover: Cover, counts: Counts) -> dict[str, Any]:
    pixels, missing = int(counts.sum()), int(counts[NODATA])
    share = sum(int(counts[code]) for code in cover.legend.agricultural) / (pixels - missing)
    without = f"{missing / pixels:.1%} of the tile has no class; those pixels count for no label"
    return {
        "summary": f"{share:.1%} of the covered land is agricultural, {missing / pixels:.1%} is not covered",
        "metadata": {
            "agricultural_share": round(share, 4),
            "pixels": pixels,
            "not_covered": missing,
            **cover.metadata,
        },
        "tables": {"classes": _class_table(cover.legend, counts)},
        "warnings": (*cover.warnings, *((without,) if missing else ())),
    }


def _class_table(legend: Legend, counts: Counts) -> Table:
    pixels = int(counts.sum())
    return Table(
        rows=tuple(
            {
                "code": code,
                "class": name,
                "agricultural": code in legend.agricultural,
                "pixels": int(counts[code]),
                "share": round(int(counts[code]) / pixels, 4),
            }
            for code, name in sorted(legend.names.items())
            if counts[code]
        )
    )
