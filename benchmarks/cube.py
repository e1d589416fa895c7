"""How long a date takes to get into the cube: against merely decoding the same files, and against odc-stac.

    python -m benchmarks.cube [--size 10980] [--quick]

Sample scenes are made once, in `benchmarks/.work`. Every phase runs in a process of its own; only the work is timed.
What is compared takes turns for a few rounds, since a machine's speed drifts from minute to minute.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from agri_assets.samples.writer import write_samples
from benchmarks.catalogs import convert_product, write_catalog
from benchmarks.cube_phases import TILE
from benchmarks.phases import Phase, mean, measure
from benchmarks.results_file import Row, publish

WORK = Path(__file__).parent / ".work"
FULL, QUICK = 10980, 3072
ROUNDS = 3
PACKAGES = ("zarr", "zarrs", "dask", "rasterio", "odc-stac", "numpy")


def scene(size: int) -> tuple[Path, Path]:
    """A sample product and the same as a catalogue of COGs; returns the folders of both."""
    safe, stac = WORK / f"safe-{size}", WORK / f"stac-{size}"
    write_samples(safe, [TILE], dates=1, size=size, cloudy_dates=0, damaged=0)
    if not (stac / "catalog.json").exists():
        write_catalog(stac, [convert_product(next(safe.glob("*.SAFE")), stac)])
    return safe, stac


def phase(name: str, kind: str, place: Path, cover: Path, *options: str) -> Phase:
    """Decode or build from one source, into an empty data root."""
    root = WORK / "data"
    shutil.rmtree(root, ignore_errors=True)
    arguments = (kind, str(place), str(cover), str(root))
    measure("benchmarks.cube_phases", "prepare", *arguments)
    found = measure("benchmarks.cube_phases", name, *arguments, *options)
    shutil.rmtree(root)
    return found


def rival(stac: Path) -> Phase:
    """odc-stac and `to_zarr` on the same COGs."""
    out = WORK / "odc.zarr"
    found = measure("benchmarks.rival_odc", str(next(stac.glob("*/*.json"))), str(out))
    shutil.rmtree(out)
    return found


def row(source: str, what: str, phase: Phase, megabytes: float) -> Row:
    """One line of the table."""
    return {
        "source": source,
        "what": what,
        "wall_s": round(phase.wall_s, 1),
        "mb_per_s": round(megabytes / phase.wall_s, 1),
        "cpu_busy": round(phase.busy, 3),
        "peak_gb": round(phase.peak_gb, 2),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--size", type=int, default=FULL, help="pixels along one side (default: a full tile)")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} px, within five minutes")
    args = parser.parse_args(arguments)
    size = QUICK if args.quick else args.size
    safe, stac = scene(size)
    cover = safe / "land_cover"
    turns = [[phase(name, "safe", safe, cover) for name in ("decode", "build")] for _ in range(ROUNDS)]
    decode, build = (mean(phases) for phases in zip(*turns, strict=True))
    processes = phase("build", "safe", safe, cover, "--dask", "processes")
    decode_cog = phase("decode", "stac_catalog", stac, cover)
    cog_turns = [(phase("build", "stac_catalog", stac, cover), rival(stac)) for _ in range(ROUNDS)]
    build_cog, odc = (mean(phases) for phases in zip(*cog_turns, strict=True))
    pixels = 10 * size * size * 2 / 1e6
    rows = [
        row("JP2", "decode only", decode, pixels),
        row("JP2", "tile_cube", build, pixels),
        row("JP2", "tile_cube, dask: processes", processes, pixels),
        row("COG", "decode only", decode_cog, pixels),
        row("COG", "tile_cube", build_cog, pixels),
        row("COG", "odc-stac + to_zarr", odc, pixels),
    ]
    ratios = {
        "wall_over_decode": build.wall_s / decode.wall_s,
        "peak_memory_gb": build.peak_gb,
        "over_odc_stac": odc.wall_s / build_cog.wall_s,
        "cpu_busy": build.busy,
    }
    publish("cube_quick" if args.quick else "cube", rows, ratios, PACKAGES)


if __name__ == "__main__":
    main()
