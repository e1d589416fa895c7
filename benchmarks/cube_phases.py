"""The phases that `benchmarks.cube` measures, each run as a process: decode, build."""

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from agri_assets.config import Collection
from agri_assets.cube.build import build_cube
from agri_assets.cube.cores import worker_count
from agri_assets.cube.raster import Rasters, read_pixels
from agri_assets.labels.land_cover import build_land_cover
from agri_assets.scenes.catalog import build_catalog
from agri_assets.scenes.inventory import read_inventory, take_inventory
from agri_assets.scenes.record import BandRecord
from agri_assets.store.layout import CollectionPaths
from benchmarks.phases import Clock

BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
TILE = "31TCJ"


def collection_of(kind: str, place: Path, cover: Path, dask: str = "threads") -> Collection:
    """A collection over scenes in `place`."""
    labels = {"kind": "worldcover", "path": str(cover)}
    source = {"kind": kind, "path": str(place)}
    return Collection.model_validate(
        {"name": "bench", "source": source, "bands": BANDS, "labels": labels, "dask": dask}
    )


def prepare(collection: Collection, paths: CollectionPaths) -> None:
    """Everything upstream of the cube."""
    build_catalog(collection, paths)
    take_inventory(collection, paths, TILE)
    build_land_cover(collection, paths, TILE)


def decode(paths: CollectionPaths) -> None:
    """Decode every band of the cube and the classification once, and forget the pixels.

    Rasters are read by whole rows of their own blocks, the largest first, so that all threads are busy to the end: a
    raster per task leaves cores idle, and would be an easier mark to meet.
    """
    record = read_inventory(paths, TILE).present[0]
    layers = [record.bands[name] for name in BANDS] + [record.classification] * bool(record.classification)
    rasters = Rasters()
    rows: list[tuple[BandRecord, int, int, int]] = []
    for band in sorted(layers, key=lambda band: band.resolution):
        with rasters.reading(band) as raster:
            (height, width), step = raster.dataset.shape, raster.dataset.block_shapes[0][0]
        rows.extend((band, top, min(height, top + step), width) for top in range(0, height, step))

    def read(row: tuple[BandRecord, int, int, int]) -> int:
        band, top, bottom, width = row
        return int(read_pixels(rasters, band, (top, bottom, 0, width)).nbytes)

    clock = Clock()
    with ThreadPoolExecutor(worker_count() + 1) as pool:
        decoded = sum(pool.map(read, rows))
    clock.report(mb=decoded / 1e6)


def build(collection: Collection, paths: CollectionPaths) -> None:
    """The stage `tile_cube`."""
    clock = Clock()
    outcome = build_cube(collection, paths, TILE)
    clock.report(built=outcome.metadata["dates_built"])


def main() -> None:
    """Run one phase."""
    parser = argparse.ArgumentParser()
    parser.add_argument("phase", choices=["prepare", "decode", "build"])
    parser.add_argument("kind")
    parser.add_argument("place", type=Path)
    parser.add_argument("cover", type=Path)
    parser.add_argument("root", type=Path)
    parser.add_argument("--dask", default="threads")
    args = parser.parse_args()
    collection = collection_of(args.kind, args.place, args.cover, args.dask)
    paths = CollectionPaths(args.root, "bench")
    if args.phase == "prepare":
        clock = Clock()
        prepare(collection, paths)
        clock.report()
    elif args.phase == "decode":
        decode(paths)
    else:
        build(collection, paths)


if __name__ == "__main__":
    main()
