"""The rival of `benchmarks.loader`: TorchGeo's RandomGeoSampler over a tiled, compressed GeoTIFF of the same pixels."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from torch.utils.data import DataLoader
from torchgeo.datasets import RasterDataset, stack_samples
from torchgeo.samplers import RandomGeoSampler

from agri_assets.cube.open import cube_info, open_reflectance, read_block
from benchmarks.loader_phases import BATCH, RANDOM_BATCHES, WORKERS, timed_batches


def write_geotiff(cube: Path, picture: Path) -> None:
    """The first slot as a GeoTIFF: blocks of 256 px, bands together, deflate with a predictor."""
    info, array = cube_info(cube), open_reflectance(cube)
    assert info.grid is not None
    options = {"tiled": True, "blockxsize": 256, "blockysize": 256, "interleave": "pixel"}
    compression = {"compress": "deflate", "predictor": 2, "bigtiff": "if_safer"}
    place = {"crs": info.grid.crs, "transform": rasterio.Affine(*info.grid.transform[:6])}
    shape = {"height": info.height, "width": info.width, "count": len(info.bands), "dtype": np.uint16}
    staging = picture.with_suffix(".part.tif")
    with rasterio.open(staging, "w", driver="GTiff", **options, **compression, **place, **shape) as file:
        for y, x in info.shards:
            height, width = info.shard_shape(y, x)
            file.write(read_block(array, 0, y, x, (height, width)), window=((y, y + height), (x, x + width)))
    staging.rename(picture)


class Pixels(RasterDataset):  # type: ignore[misc]  # torchgeo's base classes have no types
    """Any GeoTIFF."""

    filename_glob = "*.tif"


def main(picture: Path) -> None:
    """Random tiles for some batches."""
    dataset = Pixels(picture.parent)
    length = (RANDOM_BATCHES + WORKERS) * BATCH
    sampler = RandomGeoSampler(dataset, size=64, length=length)
    timed_batches(
        lambda: DataLoader(
            dataset, BATCH, sampler=sampler, num_workers=WORKERS, collate_fn=_pixels, multiprocessing_context="spawn"
        )
    )


def _pixels(samples: list[dict[str, Any]]) -> torch.Tensor:
    return stack_samples(samples)["image"]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
