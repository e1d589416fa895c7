"""Memory of a training that streams its split against loading the same split into memory; and whether it grows.

    python -m benchmarks.memory [--quick]

Made cubes, ten bands, 64 px: one of 10 GB of pixels and one of 40 GB, whose dates are hard links to one. Memory is that
of all processes, pages that they share counted once, less what the imports alone take.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.made_cube import made_cube
from benchmarks.phases import Phase, measure
from benchmarks.results_file import Row, publish

WORK = Path(__file__).parent / ".work" / "memory"
PACKAGES = ("torch", "lightning", "zarr", "zarrs", "numpy")
SIZE, SLOTS = 10240, (5, 20)
QUICK_SIZE, QUICK_SLOTS = 4096, (5, 20)


def phase(name: str, *arguments: str) -> Phase:
    """One phase, with the memory of all its processes."""
    return measure("benchmarks.memory_phases", name, *arguments, shared_once=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a tenth of the pixels, within five minutes")
    args = parser.parse_args(arguments)
    size, (few, many) = (QUICK_SIZE, QUICK_SLOTS) if args.quick else (SIZE, SLOTS)
    cubes = {slots: made_cube(WORK / f"{size}-{slots}" / "31TCJ.zarr", size, slots) for slots in (few, many)}
    pixels = {slots: slots * size * size * 10 * 2 / 1e9 for slots in cubes}
    imports = phase("imports")
    resident = phase("resident", str(cubes[few]))
    streamed = {slots: phase("stream", str(cube)) for slots, cube in cubes.items()}
    over = {slots: found.peak_gb - imports.peak_gb for slots, found in streamed.items()}
    rows: list[Row] = [
        {"what": "imports alone", "peak_gb": round(imports.peak_gb, 3), "over_imports_gb": 0.0},
        {
            "what": f"{pixels[few]:.1f} GB of pixels loaded into memory",
            "peak_gb": round(resident.peak_gb, 3),
            "over_imports_gb": round(resident.peak_gb - imports.peak_gb, 3),
        },
    ]
    rows += [
        {
            "what": f"training that streams {pixels[slots]:.1f} GB of pixels, two workers",
            "peak_gb": round(found.peak_gb, 3),
            "over_imports_gb": round(over[slots], 3),
        }
        for slots, found in streamed.items()
    ]
    ratios = {
        "over_in_memory": over[few] / (resident.peak_gb - imports.peak_gb),
        "growth": over[many] / over[few] - 1,
    }
    publish("memory_quick" if args.quick else "memory", rows, ratios, PACKAGES)


if __name__ == "__main__":
    main()
