"""Land cover on a tile's own grid: WorldCover warped by nearest neighbour, read by window."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from agri_assets.config import Collection
from agri_assets.errors import LabelError
from agri_assets.labels.picture import write_picture
from agri_assets.labels.settings import WorldCoverLabels
from agri_assets.labels.sources import files_over, land_cover_files, land_cover_place
from agri_assets.labels.worldcover import COLOURS, NAMES, NODATA
from agri_assets.progress import track
from agri_assets.scenes.catalog import catalog_tile
from agri_assets.scenes.grid import TileGrid
from agri_assets.store.commit import staged
from agri_assets.store.fingerprint import file_stamp, fingerprint
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, Table, run_stage

CODE_VERSION = "1"

BLOCK = 512
"""Edge of the output's blocks, in pixels."""

CACHE_MB = 64

Classes = NDArray[np.uint8]


def build_land_cover(collection: Collection, paths: CollectionPaths, tile: str) -> Outcome:
    """Write a tile's land cover: uint8 WorldCover codes on the tile's grid, 0 where there is none.

    Raises:
        LabelError: There is no land cover, it cannot be read, or it covers nothing of the tile.
        StoreError: The tile is not in the catalogue.
    """
    grid = catalog_tile(paths, tile).grid
    files = files_over(land_cover_files(collection, paths), grid)
    if not files:
        place = land_cover_place(collection, paths)
        raise LabelError(f"tile {tile}: no WorldCover file in {place} overlaps it; add the file that covers the tile")
    version = fingerprint(code=CODE_VERSION, grid=grid, files=[file_stamp(path) for path in files])

    def work() -> Outcome:
        target = paths.land_cover(tile)
        with staged(target) as staging:
            digest, counts = _write(staging, grid, files, f"{collection.name} {tile}: land cover")
            if not counts[1:].any():
                shown = ", ".join(path.name for path in files)
                raise LabelError(
                    f"tile {tile}: {shown} holds no class anywhere in it; add the file that covers the tile"
                )
        picture = paths.receipt("land_cover", tile).with_name(f"{tile}.png")
        write_picture(target, picture)
        return _outcome(collection, target, version, digest, counts).model_copy(
            update={"pictures": {"land cover": picture}}
        )

    return run_stage(paths.receipt("land_cover", tile), version, work, f"{collection.name} land_cover {tile}")


def _write(target: Path, grid: TileGrid, files: tuple[Path, ...], what: str) -> tuple[str, NDArray[np.int64]]:
    """Write the raster strip by strip; returns the digest of its pixels and their counts by code."""
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
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "compress": "deflate",
    }
    strips = -(-grid.height // BLOCK)
    # strips come in order and are read once: GDAL's default cache (a share of all memory) would only fill up
    with rasterio.Env(GDAL_CACHEMAX=CACHE_MB), rasterio.open(target, "w", **profile) as out:
        out.write_colormap(1, {code: (*colour, 255) for code, colour in COLOURS.items()})
        for window, classes in track(_warped(grid, files), what, strips, "strips"):
            out.write(classes, 1, window=window)
            digest.update(classes.tobytes())
            counts += np.bincount(classes.ravel(), minlength=256)
    return digest.hexdigest(), counts


def _warped(grid: TileGrid, files: tuple[Path, ...]) -> Iterator[tuple[Window, Classes]]:
    """Strips of the tile's grid; where files overlap, the first in order of path wins."""
    options = {
        "crs": grid.crs,
        "transform": Affine(*grid.transform),
        "height": grid.height,
        "width": grid.width,
        "resampling": Resampling.nearest,
        "nodata": NODATA,
    }
    with ExitStack() as stack:
        views = [
            stack.enter_context(WarpedVRT(stack.enter_context(rasterio.open(path)), src_nodata=NODATA, **options))
            for path in files
        ]
        for top in range(0, grid.height, BLOCK):
            window = Window(0, top, grid.width, min(BLOCK, grid.height - top))
            strip = np.zeros((int(window.height), grid.width), np.uint8)
            for path, view in zip(files, views, strict=True):
                _fill(strip, path, view, window)
            yield window, strip


def _fill(strip: Classes, path: Path, view: WarpedVRT, window: Window) -> None:
    """Put a file's classes where none is yet."""
    try:
        classes = view.read(1, window=window)
    except RasterioError as error:
        message = " ".join(str(error).split())
        raise LabelError(f"{path}: cannot be read ({message}); damaged, download it again") from None
    unknown = sorted(set(np.flatnonzero(np.bincount(classes.ravel(), minlength=256)).tolist()) - {NODATA, *NAMES})
    if unknown:
        raise LabelError(f"{path}: holds code {unknown[0]}, which is no WorldCover class; not a WorldCover file")
    np.copyto(strip, classes, where=strip == NODATA)


def _outcome(collection: Collection, path: Path, version: str, digest: str, counts: NDArray[np.int64]) -> Outcome:
    pixels, missing = int(counts.sum()), int(counts[NODATA])
    labels = collection.labels
    wanted = labels.agricultural if isinstance(labels, WorldCoverLabels) else ()
    share = sum(int(counts[code]) for code in wanted) / (pixels - missing)
    rows = tuple(
        {
            "code": code,
            "class": name,
            "agricultural": code in wanted,
            "pixels": int(counts[code]),
            "share": round(int(counts[code]) / pixels, 4),
        }
        for code, name in NAMES.items()
        if counts[code]
    )
    warnings = (f"{missing / pixels:.1%} of the tile has no land cover; those pixels count as no class",)
    return Outcome(
        path=path,
        fingerprint=version,
        data_version=digest,
        summary=f"{share:.1%} of the covered land is agricultural, {missing / pixels:.1%} is not covered",
        metadata={"agricultural_share": round(share, 4), "pixels": pixels, "not_covered": missing},
        tables={"classes": Table(rows=rows)},
        warnings=warnings if missing else (),
    )
