"""The classification that a date is built with: the product's own, or one made from its pixels."""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio

from agri_assets.cube.raster import to_reflectance
from agri_assets.cube.slots import Wanted
from agri_assets.errors import SceneError
from agri_assets.remote.raster import open_raster
from agri_assets.scenes.cloud_mask import (
    COARSEST_M,
    PACKAGE,
    RESOLUTION_M,
    input_bands,
    package_version,
    predict_classes,
)
from agri_assets.scenes.record import BandRecord, SceneRecord
from agri_assets.scenes.settings import CloudSettings
from agri_assets.store.fingerprint import fingerprint


def with_mask(wanted: tuple[Wanted, ...], clouds: CloudSettings) -> tuple[Wanted, ...]:
    """Dates whose fingerprints tell the mask too, so that another mask (or version of it) builds them anew.

    Raises:
        ConfigError: The mask cannot be made with what is installed, or from these bands.
    """
    if clouds.mask == "scl":
        return wanted
    mask = f"{PACKAGE} {package_version()}"
    for date in wanted:
        input_bands(date.records[0].bands)
    return tuple(replace(date, fingerprint=fingerprint(pixels=date.fingerprint, mask=mask)) for date in wanted)


@contextmanager
def masked(wanted: Wanted, clouds: CloudSettings) -> Iterator[Wanted]:
    """The date with the classification to build it with; one that is made lasts as long as the block.

    Whole scenes are masked before shards are cut, since clouds are told by what is around them.

    Raises:
        SceneError: A band cannot be read.
        CubeError: The mask cannot be made.
    """
    if clouds.mask == "scl":
        yield wanted
        return
    with tempfile.TemporaryDirectory() as folder:
        records = [
            record.model_copy(update={"classification": _classify(record, Path(folder) / f"{number}.tif", clouds)})
            for number, record in enumerate(wanted.records)
        ]
        yield replace(wanted, records=tuple(records))


def _classify(record: SceneRecord, path: Path, clouds: CloudSettings) -> BandRecord:
    """Mask a scene and write its classes as a raster on the scene's own ground."""
    resolution = _resolution(record)
    factor = round(resolution / record.transform[0])
    shape = record.shape[0] // factor, record.shape[1] // factor
    channels = np.stack([_channel(record.bands[band], shape) for band in input_bands(record.bands)])
    classes = predict_classes(channels, clouds.weights)
    _, _, left, _, _, top = record.transform
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "tiled": True, "compress": "deflate", "nodata": 0}
    transform = rasterio.Affine(resolution, 0, left, 0, -resolution, top)
    with rasterio.open(
        path, "w", height=shape[0], width=shape[1], crs=record.crs, transform=transform, **profile
    ) as dataset:
        dataset.write(classes, 1)
    return BandRecord(href=str(path), resolution=resolution, scale=1.0)


def _resolution(record: SceneRecord) -> float:
    """The mask's pixel size: 20 m where that is a whole number of the scene's pixels, else the scene's own."""
    own = record.transform[0]
    if own > COARSEST_M:
        raise SceneError(
            f"{record.location}: its pixels of {own:g} m are too coarse for {PACKAGE} (up to {COARSEST_M:g} m); "
            "use mask: scl"
        )
    factor = round(RESOLUTION_M / own)
    whole = factor > 1 and own * factor == RESOLUTION_M and not any(size % factor for size in record.shape)
    return RESOLUTION_M if whole else own


def _channel(band: BandRecord, shape: tuple[int, int]) -> npt.NDArray[np.uint16]:
    with closing(open_raster(band.href, band.sign)) as raster:
        numbers = raster.read(band.index, out_shape=shape)
    return to_reflectance(numbers, band)[0]
