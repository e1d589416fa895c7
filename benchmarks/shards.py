"""Whole-shard reads of a sample cube: the zarrs pipeline against zarr-python's own, in turn, on the same files.

`python -m benchmarks.shards [--size 2048] [--rounds 5]`
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import zarr

from agri_assets.config import Collection
from agri_assets.cube.build import build_cube
from agri_assets.cube.open import cube_info, open_reflectance, read_block
from agri_assets.labels.land_cover import build_land_cover
from agri_assets.scenes.catalog import build_catalog
from agri_assets.scenes.inventory import take_inventory
from agri_assets.store.layout import CollectionPaths
from benchmarks.results_file import publish

TILE = "31TCJ"
BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")


def make_cube(root: Path, size: int) -> Path:
    """A one-date sample cube of `size` pixels a side, through the stages themselves."""
    source = {"kind": "sample", "tiles": [TILE], "dates": 1, "cloudy_dates": 0, "size": size}
    collection = Collection.model_validate(
        {"name": "bench", "source": source, "bands": BANDS, "labels": {"kind": "worldcover"}}
    )
    paths = CollectionPaths(root, collection.name)
    build_catalog(collection, paths)
    take_inventory(collection, paths, TILE)
    build_land_cover(collection, paths, TILE)
    build_cube(collection, paths, TILE)
    return paths.cube(TILE)


def read_all(array: "zarr.Array", shard: int) -> None:
    """Read every whole shard of the first slot."""
    height, width = array.shape[2:]
    for y in range(0, height - shard + 1, shard):
        for x in range(0, width - shard + 1, shard):
            read_block(array, 0, y, x, (shard, shard))


def timed(work: Callable[[], None]) -> float:
    """Seconds that `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """Build, read by both pipelines in turn, publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cube = make_cube(Path(folder), args.size)
        info = cube_info(cube)
        fast = open_reflectance(cube)
        zarr.config.set({"codec_pipeline.path": "zarr.core.codec_pipeline.BatchedCodecPipeline"})
        plain = zarr.open_group(cube, mode="r")["reflectance"]
        arrays = {"zarrs": fast, "zarr-python": plain}
        seconds: dict[str, list[float]] = {name: [] for name in arrays}
        for _ in range(args.rounds):
            for name, array in arrays.items():
                seconds[name].append(timed(lambda array=array: read_all(array, info.shard_size)))
    shards = (args.size // info.shard_size) ** 2
    tiles = shards * (info.shard_size // info.tile_size) ** 2
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    rows = [{"pipeline": name, "seconds": value, "tiles/s": tiles / value} for name, value in medians.items()]
    ratios = {"zarrs_over_zarr_python": medians["zarr-python"] / medians["zarrs"]}
    publish("shards", rows, ratios, ["zarr", "zarrs", "numpy"])


if __name__ == "__main__":
    main()
