"""The rival of `benchmarks.cube`: odc-stac's load of the same COGs, then `to_zarr` to the same chunks and shards."""

import argparse
import os
import warnings
from pathlib import Path

import dask
import odc.stac
import pystac
from zarr.codecs import BloscCodec

from benchmarks.cube_phases import BANDS
from benchmarks.phases import Clock

SHARD, CHUNK = 1024, 64


def main() -> None:
    """Load one item's bands lazily in shard-sized chunks and write them, with as many threads as there are cores."""
    parser = argparse.ArgumentParser()
    parser.add_argument("item", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    item = pystac.Item.from_file(str(args.item))
    # the sharding codec warns that its metadata may change; nothing else of zarr's does
    warnings.filterwarnings("ignore", module="zarr")
    with dask.config.set(scheduler="threads", num_workers=os.cpu_count()):
        clock = Clock()
        grid = {"crs": f"EPSG:{item.properties['proj:epsg']}", "resolution": 10}
        data = odc.stac.load([item], bands=list(BANDS), chunks={"x": SHARD, "y": SHARD}, resampling="nearest", **grid)
        cube = data.to_array(dim="band", name="reflectance").transpose("time", "band", "y", "x")
        cube = cube.chunk({"time": 1, "band": len(BANDS), "y": SHARD, "x": SHARD}).astype("uint16")
        encoding = {
            "chunks": (1, len(BANDS), CHUNK, CHUNK),
            "shards": (1, len(BANDS), SHARD, SHARD),
            "compressors": BloscCodec(cname="lz4", clevel=3, shuffle="bitshuffle", typesize=2),
        }
        cube.drop_attrs().to_dataset().to_zarr(
            args.out, mode="w", encoding={"reflectance": encoding}, consolidated=True, zarr_format=3
        )
        clock.report(shape=list(cube.shape))


if __name__ == "__main__":
    main()
