"""GeoTIFF stacks: Level-2A pixels in files that say little of themselves, with a sidecar that says the rest."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from rasterio.warp import transform

from agri_assets.errors import SceneError
from agri_assets.scenes.footprint import polygon
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.naming import BANDS, CLASSIFICATION, acquisition, scene_id, tile_name
from agri_assets.scenes.radiometry import OFFSET, OFFSET_SINCE, QUANTIFICATION, USER_BASELINE, parse_baseline
from agri_assets.scenes.rasters import RasterFacts, raster_facts
from agri_assets.scenes.record import BandRecord, Radiometry, SceneRecord
from agri_assets.scenes.sidecar import SUFFIX, UNSAID_BASELINE, Layer, Sidecar, load_sidecar, sidecar_tile
from agri_assets.scenes.tile_grid import nominal_grid
from agri_assets.store.fingerprint import file_stamp, fingerprint

__all__ = ["SUFFIX", "read_sidecar", "sidecar_stamp", "sidecar_tile"]

TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of TIFF and BigTIFF, either byte order."""


def read_sidecar(path: Path) -> SceneRecord:
    """The record of a GeoTIFF stack; its rasters' headers are read and believed.

    Raises:
        SceneError: The sidecar is not as its schema asks, a raster is missing, or statements exclude each other.
    """
    path = path.absolute()
    said = load_sidecar(path)
    facts = {file: _facts(path.parent / file) for file in dict.fromkeys(layer.file for layer in said.layers)}
    radiometry = _radiometry(path, said)
    bands = {
        name: _band(path, name, said.bands[name], facts, said, radiometry.offset)
        for name in BANDS
        if name in said.bands
    }
    grid = _grid(path, said, {layer.file: facts[layer.file].grid for layer in said.layers})
    tile = tile_name(said.tile)
    return SceneRecord(
        scene_id=scene_id(said.platform, tile, said.acquired),
        source="geotiff",
        location=str(path),
        platform=said.platform,
        mgrs_tile=tile,
        level=said.level,
        acquired=said.acquired,
        processing_baseline=said.processing_baseline,
        cloud_cover=said.cloud_cover,
        crs=grid.crs,
        transform=grid.transform,
        shape=(grid.height, grid.width),
        bands=bands,
        classification=_classification(path, said, facts),
        radiometry=radiometry,
        footprint=_footprint(grid),
        readable=True,
        fingerprint=sidecar_stamp(path),
        acquisition=acquisition(said.platform, tile, f"{said.acquired:%Y%m%dT%H%M%S}", ""),
    )


def sidecar_stamp(path: Path) -> str:
    """Changes when the sidecar or one of its rasters does.

    Raises:
        SceneError: The sidecar is not as its schema asks.
    """
    files = sorted({layer.file for layer in load_sidecar(path).layers})
    rasters = [file_stamp(path.parent / file) if (path.parent / file).is_file() else "absent" for file in files]
    return fingerprint(sidecar=hashlib.sha256(path.read_bytes()).hexdigest(), rasters=rasters)


def _facts(path: Path) -> RasterFacts:
    if not path.is_file():
        raise SceneError(f"{path}: no such file, named by the sidecar; put it there or correct the name")
    with path.open("rb") as file:
        start = file.read(4)
    # other formats that GDAL opens may name further files anywhere
    if start not in TIFF_STARTS:
        raise SceneError(f"{path}: starts with {start!r}, which is no TIFF; convert it first")
    return raster_facts(path)


def _band(
    path: Path, name: str, layer: Layer, facts: Mapping[str, RasterFacts], said: Sidecar, offset: int
) -> BandRecord:
    """One layer as it is to be read; `name` is a band's, or the classification's."""
    raster, file = facts[layer.file], path.parent / layer.file
    expected = ("uint8", "uint16") if name == CLASSIFICATION else ("uint16",)
    if layer.band > raster.count:
        raise SceneError(f"{path}: {name} is band {layer.band} of {file}, which has {raster.count}; correct the number")
    if raster.dtype not in expected:
        raise SceneError(f"{file}: {name} is {raster.dtype}, expected {' or '.join(expected)}; convert it first")
    return BandRecord(
        href=str(file),
        resolution=raster.grid.resolution,
        offset=offset,
        scale=1.0 if name == CLASSIFICATION else 1 / QUANTIFICATION,
        nodata=0 if name == CLASSIFICATION else _nodata(path, file, said.nodata, raster.nodata),
        index=layer.band,
    )


def _classification(path: Path, said: Sidecar, facts: Mapping[str, RasterFacts]) -> BandRecord | None:
    if said.classification is None:
        return None
    return _band(path, CLASSIFICATION, said.classification, facts, said, offset=0)


def _nodata(path: Path, file: Path, said: int | None, raster: float | None) -> int:
    if raster is None:
        return said or 0
    fits = 0 <= raster < 2**16 and raster.is_integer()
    if not fits or (said is not None and said != raster):
        raise SceneError(
            f"{path}: nodata is {'not said' if said is None else said} here, but {raster:g} in {file}; "
            "it must be a number from 0 to 65535 and the same, correct one of them"
        )
    return int(raster)


def _grid(path: Path, said: Sidecar, grids: Mapping[str, TileGrid]) -> TileGrid:
    """The grid of the finest band; every raster must lie on it, and it on the tile's own grid."""
    finest = min((grids[layer.file] for layer in said.bands.values()), key=lambda grid: grid.resolution)
    tile = nominal_grid(tile_name(said.tile), finest.resolution)
    if finest.crs != tile.crs or tile.place(finest.bounds, finest.resolution) is None:
        raise SceneError(
            f"{path}: its finest band is on {finest.shown}, tile {said.tile} is {tile.shown}; the rasters must lie on "
            "the tile's pixel corners and within it, warp them or correct the tile"
        )
    for file, grid in grids.items():
        if grid.crs != finest.crs or finest.place(grid.bounds, grid.resolution) is None:
            raise SceneError(
                f"{path.parent / file}: is on {grid.shown}, the stack's finest band on {finest.shown}; "
                "all rasters of a stack must share CRS, corners and ground"
            )
    return finest


def _radiometry(path: Path, said: Sidecar) -> Radiometry:
    """What the sidecar says, unless its own statements exclude each other."""
    if said.offset_applied and said.offset:
        raise SceneError(
            f"{path}: offset_applied is true, but offset says that {said.offset} must be added; correct one"
        )
    number = parse_baseline(str(path), said.processing_baseline)
    stored = number >= OFFSET_SINCE and not said.offset_applied
    expected = OFFSET if stored else 0
    if number != USER_BASELINE and said.offset != expected:
        hint = ', or say "offset_applied": true if it was added already' if stored else ""
        raise SceneError(
            f"{path}: processing_baseline {said.processing_baseline} means that {expected} must be added, but offset "
            f"is {said.offset}; correct one{hint}"
        )
    verb = f"add {said.offset}" if said.offset else "nothing to add"
    why = "whoever made the pixels took the offset out" if said.offset_applied else "the sidecar says so"
    return Radiometry(
        offset=said.offset,
        decision=f"{verb}: {why}",
        evidence={
            "processing_baseline": None if said.processing_baseline == UNSAID_BASELINE else said.processing_baseline,
            "quantification": said.quantification,
            "offset": said.offset,
            "offset_applied": said.offset_applied,
        },
    )


def _footprint(grid: TileGrid) -> dict[str, object]:
    left, bottom, right, top = grid.bounds
    lon, lat = transform(grid.crs, "EPSG:4326", [left, left, right, right, left], [top, bottom, bottom, top, top])
    return polygon(list(zip(lon, lat, strict=True)))
