"""The phases that `benchmarks.cube` measures, each run as a process: decode, build."""

import argparse
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from agri_assets.config import Collection
from agri_assets.cube.build import build_cube
from agri_assets.labels.land_cover import build_land_cover
from agri_assets.remote.raster import open_raster
from agri_assets.scenes.catalog import build_catalog
from agri_assets.scenes.inventory import read_inventory, take_inventory
from agri_assets.store.layout import CollectionPaths
from benchmarks.phases import Clock

BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
TILE = "31TCJ"


def collection_of(kind: str, place: Path, cover: Path) -> Collection:
    """A collection over scenes in `place`."""
    labels = {"kind": "worldcover", "path": str(cover)}
    return Collection.model_validate(
        {"name": "bench", "source": {"kind": kind, "path": str(place)}, "bands": BANDS, "labels": labels}
    )


def prepare(collection: Collection, paths: CollectionPaths) -> None:
    """Everything upstream of the cube."""
    build_catalog(collection, paths)
    take_inventory(collection, paths, TILE)
    build_land_cover(collection, paths, TILE)


def decode(paths: CollectionPaths) -> None:
    """Decode every band and the classification once, a band per task, the largest first, and forget the pixels."""
    record = read_inventory(paths, TILE).present[0]
    layers = [*record.bands.values(), *([record.classification] if record.classification else [])]
    ordered = sorted(layers, key=lambda band: band.resolution)

    def read(href: str) -> int:
        raster = open_raster(href)
        pixels = raster.read()
        raster.close()
        return int(pixels.nbytes)

    clock = Clock()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        decoded = sum(pool.map(read, [band.href for band in ordered]))
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
    args = parser.parse_args()
    collection, paths = collection_of(args.kind, args.place, args.cover), CollectionPaths(args.root, "bench")
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
