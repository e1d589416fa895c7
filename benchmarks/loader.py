"""The loader against the bare reading of its shards, TorchGeo on a GeoTIFF, and random tiles by zarr-python.

    python -m benchmarks.loader [--size 10980] [--quick]

All read the pixels of one sample cube: uint16, ten bands, 64 px tiles, two workers, a warm file cache, no augmentation
but in the row that says so. They take turns, twice, since a machine's speed drifts from minute to minute.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import rasterio

from agri_assets.cube.build import build_cube
from agri_assets.cube.open import cube_info, open_reflectance, read_block
from agri_assets.store.layout import CollectionPaths
from benchmarks.cube import FULL, WORK, scene
from benchmarks.cube_phases import TILE, collection_of, prepare
from benchmarks.loader_phases import BATCH, PACE, RANDOM_BATCHES, WORKERS
from benchmarks.phases import Phase, mean, measure
from benchmarks.results_file import Row, publish

QUICK = 6144
ROUNDS = 2
PACKAGES = ("torch", "zarr", "zarrs", "numpy")
TORCHGEO = "torchgeo==0.8.1"
READERS = {
    "bare": "shards by the zarrs pipeline, nothing more",
    "ours": "agri-assets loader, shuffled",
    "turned": "agri-assets loader, shuffled, eight orientations",
    "augmented": "the same, and band and coarse dropout of a fifth of the samples each",
    "consumer": f"agri-assets loader, shuffled, consumer that takes {PACE} tiles/s",
    "torchgeo": "TorchGeo RandomGeoSampler, tiled GeoTIFF",
    "random": "random tiles by zarr-python, map-style",
}


def made(size: int) -> tuple[Path, Path]:
    """A sample cube of one date, and a GeoTIFF of its pixels; made once, in `benchmarks/.work`."""
    root = WORK / f"loader-{size}"
    paths, picture = CollectionPaths(root, "bench"), root / "geotiff" / "pixels.tif"
    if not picture.exists():
        safe, _ = scene(size)
        shutil.rmtree(root, ignore_errors=True)
        collection = collection_of("safe", safe, safe / "land_cover")
        prepare(collection, paths)
        build_cube(collection, paths, TILE)
        write_geotiff(paths.cube(TILE), picture)
    return paths.cube(TILE), picture


def write_geotiff(cube: Path, picture: Path) -> None:
    """The first slot as a GeoTIFF: blocks of 256 px, bands together, deflate with a predictor."""
    info, array = cube_info(cube), open_reflectance(cube)
    assert info.grid is not None
    options = {"tiled": True, "blockxsize": 256, "blockysize": 256, "interleave": "pixel"}
    compression = {"compress": "deflate", "predictor": 2, "bigtiff": "if_safer"}
    place = {"crs": info.grid.crs, "transform": rasterio.Affine(*info.grid.transform[:6])}
    shape = {"height": info.height, "width": info.width, "count": len(info.bands), "dtype": np.uint16}
    picture.parent.mkdir(parents=True, exist_ok=True)
    staging = picture.with_suffix(".part")
    with rasterio.open(staging, "w", driver="GTiff", **options, **compression, **place, **shape) as file:
        for y, x in info.shards:
            height, width = info.shard_shape(y, x)
            file.write(read_block(array, 0, y, x, (height, width)), window=((y, y + height), (x, x + width)))
    staging.rename(picture)


def rival_python() -> str:
    """Python with TorchGeo, in an environment of its own, since it wants other versions of what Dagster wants."""
    place = WORK / "torchgeo"
    python = place / "bin" / "python"
    if not (place / "whole").exists():
        print("installing TorchGeo in an environment of its own", file=sys.stderr, flush=True)
        shutil.rmtree(place, ignore_errors=True)
        uv = [sys.executable, "-m", "uv"]
        same = [f"{name}=={version(name)}" for name in ("torch", "torchvision", "numpy", "rasterio", "requests")]
        subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(place)], check=True)
        subprocess.run([*uv, "pip", "install", "--quiet", "--python", str(python), TORCHGEO, *same], check=True)
        (place / "whole").touch()
    return str(python)


def rate(phase: Phase) -> float:
    """Tiles a second."""
    return float(phase.result["tiles"]) / float(phase.result["wall_s"])


def mean_wait(phases: Sequence[Phase]) -> float:
    """Share of the time in which a consumer waited for data."""
    return sum(phase.result["wait_s"] / phase.wall_s for phase in phases) / len(phases)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--size", type=int, default=FULL, help="pixels along one side (default: a full tile)")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} px, within five minutes")
    args = parser.parse_args(arguments)
    cube, picture = made(QUICK if args.quick else args.size)
    rounds = [{name: run(name, cube, picture) for name in READERS} for _ in range(ROUNDS)]
    rates = {name: sum(rate(one[name]) for one in rounds) / ROUNDS for name in READERS}
    rows: list[Row] = [
        {
            "reader": text,
            "tiles_per_s": round(rates[name]),
            "mb_per_s": round(rates[name] * 10 * 64 * 64 * 2 / 1e6),
            "over_bare": round(rates[name] / rates["bare"], 3),
            "peak_gb": round(mean([one[name] for one in rounds]).peak_gb, 2),
        }
        for name, text in READERS.items()
    ]
    ratios = {
        "over_bare_read": rates["ours"] / rates["bare"],
        "over_torchgeo": rates["ours"] / rates["torchgeo"],
        "over_random_zarr": rates["ours"] / rates["random"],
        "turned_over_bare_read": rates["turned"] / rates["bare"],
        "augmented_over_bare_read": rates["augmented"] / rates["bare"],
        f"wait_at_{PACE}": mean_wait([one["consumer"] for one in rounds]),
    }
    publish("loader_quick" if args.quick else "loader", rows, ratios, PACKAGES)


def run(name: str, cube: Path, picture: Path) -> Phase:
    """One reader once."""
    if name == "torchgeo":
        sizes = {"--workers": WORKERS, "--batch": BATCH, "--batches": RANDOM_BATCHES, "--size": 64}
        options = [str(part) for pair in sizes.items() for part in pair]
        return measure("benchmarks.loader_rival", str(picture), *options, python=rival_python())
    return measure("benchmarks.loader_phases", name, str(cube))


if __name__ == "__main__":
    main()
