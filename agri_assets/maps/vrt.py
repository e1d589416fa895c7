"""All mapped tiles of a collection as one picture: a GDAL VRT that names their files, which it needs beside it.

It stands in the CRS that most tiles have; those of others enter it through a VRT of their own that warps them. Where
tiles overlap, the first by name is on top, those that are not warped before those that are.
"""

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds

from agri_assets.errors import SceneError, first_line
from agri_assets.maps.raster import BLOCK, COLOURS, NODATA
from agri_assets.objects import local_copy
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.rasters import grid_of
from agri_assets.store.commit import locked, write_text
from agri_assets.store.layout import CollectionPaths

logger = logging.getLogger(__name__)

NAME = "mosaic.vrt"
WARPED = "warped"
"""Folder, beside a mosaic, of the VRTs that warp tiles of other CRS."""

LOCK_WAIT_S = 60.0
"""How long to wait for another tile's map to refresh the mosaics, which takes much less."""

Colours = Mapping[int, tuple[int, int, int, int]]


@dataclass(frozen=True)
class Source:
    """One file of a mosaic.

    Attributes:
        file: It, counted from the mosaic's folder.
        grid: Where it lies, in the mosaic's CRS.
    """

    file: str
    grid: TileGrid


def refresh_mosaics(paths: CollectionPaths) -> None:
    """Let the mosaics of classes and of probabilities show the tiles that are mapped now.

    Raises:
        StoreError: They cannot be written, or another process holds them for too long.
    """
    folder = paths.map("tile").parent
    with locked(folder / NAME, f"the mosaic of {paths.collection}", LOCK_WAIT_S):
        grids = mapped_grids(paths)
        for place, colours in ((folder, COLOURS), (folder / "probability", {})):
            for name, text in mosaic_files(grids, colours).items():
                _write(place / name, text)


def mapped_grids(paths: CollectionPaths) -> dict[str, TileGrid]:
    """The grid of every mapped tile, in order of name; maps that cannot be read are left out with a warning."""
    folder = paths.receipt("land_map", "tile").parent
    tiles = sorted(path.stem for path in folder.glob("*.json")) if folder.is_dir() else []
    grids = {tile: _grid(paths.map(tile)) for tile in tiles if paths.map(tile).exists()}
    return {tile: grid for tile, grid in grids.items() if grid is not None}


def _grid(path: Path) -> TileGrid | None:
    """Where a map lies, by its own header: its cube may be gone."""
    try:
        with local_copy(path) as file, rasterio.open(file) as source:
            return grid_of(str(path), source)
    except (RasterioError, SceneError) as error:
        logger.warning("%s: left out of the mosaic, delete it and map the tile again (%s)", path, first_line(error))
        return None


def mosaic_files(grids: Mapping[str, TileGrid], colours: Colours) -> dict[str, str]:
    """The mosaic and what it needs besides the maps, by name; none without tiles."""
    if not grids:
        return {}
    counts = Counter(grid.crs for grid in grids.values())
    crs = max(counts, key=lambda one: (counts[one], one))
    files: dict[str, str] = {}
    own, warped = [], []
    for tile, grid in sorted(grids.items(), reverse=True):
        if grid.crs == crs:
            own.append(Source(f"{tile}.tif", grid))
        else:
            name = f"{WARPED}/{tile}.vrt"
            target = warped_grid(grid, crs)
            files[name] = _warped(f"../{tile}.tif", grid, target)
            warped.append(Source(name, target))
    return {**files, NAME: _mosaic([*warped, *own], colours)}


def warped_grid(grid: TileGrid, crs: str) -> TileGrid:
    """Whole pixels of the same size in another CRS that hold all of a grid, corners at multiples of the pixel size."""
    size = grid.resolution
    left, bottom, right, top = transform_bounds(grid.crs, crs, *grid.bounds)
    west, north = float(np.floor(left / size)) * size, float(np.ceil(top / size)) * size
    height, width = (int(np.ceil(length / size)) for length in (north - bottom, right - west))
    return TileGrid(crs=crs, transform=(size, 0.0, west, 0.0, -size, north), height=height, width=width)


def _mosaic(sources: Sequence[Source], colours: Colours) -> str:
    """The VRT of files in one CRS, drawn in their order."""
    grids = [source.grid for source in sources]
    size = min(grid.resolution for grid in grids)
    lefts, bottoms, rights, tops = zip(*(grid.bounds for grid in grids), strict=True)
    left, top = min(lefts), max(tops)
    width, height = round((max(rights) - left) / size), round((top - min(bottoms)) / size)
    root = ElementTree.Element("VRTDataset", rasterXSize=str(width), rasterYSize=str(height))
    _add(root, "SRS", grids[0].crs)
    _add(root, "GeoTransform", f"{left}, {size}, 0, {top}, 0, {-size}")
    band = _add(root, "VRTRasterBand", dataType="Byte", band="1")
    _add(band, "NoDataValue", str(NODATA))
    if colours:
        _add(band, "ColorInterp", "Palette")
        table = _add(band, "ColorTable")
        for value in range(NODATA + 1):
            levels = colours.get(value, (0, 0, 0, 0))
            _add(table, "Entry", **{f"c{number}": str(level) for number, level in enumerate(levels, 1)})
    for source in sources:
        _add_source(band, source, left, top, size)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _add_source(band: ElementTree.Element, source: Source, left: float, top: float, size: float) -> None:
    grid = source.grid
    part = _add(band, "ComplexSource")
    _add(part, "SourceFilename", source.file, relativeToVRT="1")
    _add(part, "SourceBand", "1")
    shape = {"RasterXSize": str(grid.width), "RasterYSize": str(grid.height)}
    _add(part, "SourceProperties", DataType="Byte", BlockXSize=str(BLOCK), BlockYSize=str(BLOCK), **shape)
    _add(part, "SrcRect", xOff="0", yOff="0", xSize=str(grid.width), ySize=str(grid.height))
    times = grid.resolution / size
    place = {"xOff": (grid.bounds[0] - left) / size, "yOff": (top - grid.bounds[3]) / size}
    extent = {"xSize": grid.width * times, "ySize": grid.height * times}
    _add(part, "DstRect", **{name: f"{value:.10g}" for name, value in {**place, **extent}.items()})
    _add(part, "NODATA", str(NODATA))


def _add(parent: ElementTree.Element, name: str, text: str | None = None, **attributes: str) -> ElementTree.Element:
    element = ElementTree.SubElement(parent, name, attributes)
    element.text = text
    return element


def _warped(file: str, grid: TileGrid, target: TileGrid) -> str:
    """The VRT that warps a file, as GDAL writes it for an empty one on the same grid."""
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": NODATA, "sparse_ok": True, "tiled": True}
    place = {"crs": grid.crs, "transform": rasterio.Affine(*grid.transform)}
    to = {"crs": target.crs, "transform": rasterio.Affine(*target.transform)}
    with MemoryFile() as empty, MemoryFile(ext=".vrt") as written:
        with empty.open(height=grid.height, width=grid.width, **profile, **place):
            pass
        with (
            empty.open() as source,
            WarpedVRT(source, height=target.height, width=target.width, resampling=Resampling.nearest, **to) as vrt,
        ):
            rasterio.shutil.copy(vrt, written.name, driver="VRT")
        text = bytes(written.read()).decode()
    named = f'<SourceDataset relativeToVRT="1">{file}</SourceDataset>'
    return re.sub(r"<SourceDataset .*?</SourceDataset>", named, text, flags=re.DOTALL)


def _write(path: Path, text: str) -> None:
    """Write a file unless it says so already."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
