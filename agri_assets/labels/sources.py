"""Which land-cover files there are, and where they lie."""

from collections.abc import Iterable
from pathlib import Path

import rasterio
from rasterio.errors import RasterioError
from rasterio.warp import transform_bounds

from agri_assets.config import Collection
from agri_assets.errors import LabelError
from agri_assets.labels.settings import WorldCoverLabels
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.settings import SampleSource
from agri_assets.store.layout import CollectionPaths

WORLDCOVER_CRS = "EPSG:4326"
_SUFFIXES = (".tif", ".tiff")


def land_cover_place(collection: Collection, paths: CollectionPaths) -> Path:
    """The file or folder that the collection's land cover comes from; sample scenes bring their own.

    Raises:
        LabelError: The collection is not labelled by land cover, or does not say where it is.
    """
    labels, source = collection.labels, collection.source
    if not isinstance(labels, WorldCoverLabels):
        raise LabelError(f"collection {collection.name} is labelled by its class folders; it has no land cover")
    if labels.path is not None:
        return Path(labels.path)
    if isinstance(source, SampleSource):
        return (source.path or paths.sample_scenes) / "land_cover"
    raise LabelError(f"collection {collection.name}: labels have no path; name a WorldCover file or a folder of them")


def land_cover_files(collection: Collection, paths: CollectionPaths) -> tuple[Path, ...]:
    """The collection's land-cover files, in order of path.

    Raises:
        LabelError: There are none.
    """
    place = land_cover_place(collection, paths)
    if place.is_file():
        return (place,)
    files = sorted(path for path in place.rglob("*") if path.suffix.lower() in _SUFFIXES) if place.is_dir() else []
    if not files:
        raise LabelError(
            f"{place}: no WorldCover GeoTIFF there; put the files for your tiles in it, or mend labels.path"
        )
    return tuple(files)


def files_over(files: Iterable[Path], grid: TileGrid) -> tuple[Path, ...]:
    """The files that overlap a grid.

    Raises:
        LabelError: A file cannot be opened, is not in EPSG:4326, or does not hold 8-bit classes.
    """
    west, south, east, north = transform_bounds(grid.crs, WORLDCOVER_CRS, *grid.bounds)
    # across the antimeridian rasterio gives a western edge east of the eastern one
    spans = ((west, east),) if west <= east else ((west, 180.0), (-180.0, east))
    found = []
    for path in files:
        left, bottom, right, top = _bounds(path)
        if bottom < north and top > south and any(left < end and right > start for start, end in spans):
            found.append(path)
    return tuple(found)


def _bounds(path: Path) -> tuple[float, float, float, float]:
    try:
        with rasterio.open(path) as source:
            crs = source.crs.to_string() if source.crs else "no CRS"
            dtype, bounds = source.dtypes[0], tuple(source.bounds)
    except RasterioError as error:
        message = " ".join(str(error).split())
        raise LabelError(f"{path}: cannot be opened ({message}); damaged, download it again") from None
    if crs != WORLDCOVER_CRS or dtype != "uint8":
        raise LabelError(f"{path}: {dtype} in {crs}, expected uint8 classes in {WORLDCOVER_CRS}; not a WorldCover file")
    left, bottom, right, top = bounds
    return left, bottom, right, top
