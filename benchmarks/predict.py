"""`agri-assets predict` on a full product against a quarter of it, in memory; and against bare passes of onnxruntime.

    python -m benchmarks.predict [--size 10980] [--quick]

Made GeoTIFF stacks, ten bands at 10 and 20 m and a classification. Memory is looked at with the smallest network there
is, so that whatever grows with the scene stands out; speed with the hybrid as it is by default, untrained, on a smaller
scene. What is timed is all that the command does once it has imported: verifying, reading, predicting, writing both
maps. Plain GeoTIFFs decode at once; JP2 would take its own time (`benchmarks.cube`) and hide the rest.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.phases import Phase, measure
from benchmarks.results_file import Row, publish

WORK = Path(__file__).parent / ".work" / "predict"
PACKAGES = ("onnxruntime", "torch", "timm", "numpy", "rasterio")
FULL, QUICK, STRIDE = 10980, 4096, 32
SPEED = 2048
"""Pixels along one side of the scene that speed is measured on."""

LIMITS = {"memory_over_quarter": 1.05, "over_forward": 0.9}
"""What the full form is to show: at most, and at least."""


def phase(name: str, path: Path, *more: str) -> Phase:
    """One phase."""
    return measure("benchmarks.predict_phases", name, str(path), *more)


def bundle(network: str) -> Path:
    """The bundle of a network."""
    phase("bundle", WORK / network, "--network", network)
    return WORK / network


def product(size: int) -> str:
    """A product of so many pixels along one side."""
    path = WORK / str(size) / "made.scene.json"
    phase("product", path, "--size", str(size))
    return str(path)


def rate(phase: Phase) -> float:
    """Windows a second."""
    return float(phase.result["windows"]) / phase.wall_s


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--size", type=int, default=FULL, help="pixels along one side (default: a full tile)")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} px instead")
    args = parser.parse_args(arguments)
    size = QUICK if args.quick else args.size
    tiny, hybrid = bundle("tiny"), bundle("hybrid")
    full, quarter, small = (product(edge) for edge in (size, size // 2, SPEED))
    before = phase("forward", hybrid)
    found = {
        f"tiny network, {size // 2} px": phase("map", tiny, "--product", quarter),
        f"tiny network, {size} px": phase("map", tiny, "--product", full),
        f"tiny network, {size // 2} px, windows every {STRIDE} px": phase(
            "map", tiny, "--product", quarter, "--stride", str(STRIDE)
        ),
        f"hybrid, {SPEED} px": phase("map", hybrid, "--product", small),
    }
    after = phase("forward", hybrid)
    rows: list[Row] = [
        {
            "what": what,
            "windows": int(one.result["windows"]),
            "wall_s": round(one.wall_s, 2),
            "windows_per_s": round(rate(one), 1),
            "peak_gb": round(one.peak_gb, 3),
        }
        for what, one in {"hybrid, bare passes": before, **found, "hybrid, bare passes again": after}.items()
    ]
    of_quarter, of_full, fine, whole = found.values()
    bare = (before.result["windows"] + after.result["windows"]) / (before.wall_s + after.wall_s)
    ratios = {
        "memory_over_quarter": of_full.peak_gb / of_quarter.peak_gb,
        "fine_memory_over_plain": fine.peak_gb / of_quarter.peak_gb,
        "over_forward": rate(whole) / bare,
    }
    limits = ", ".join(f"{name} {limit:g}" for name, limit in LIMITS.items())
    publish("predict_quick" if args.quick else "predict", rows, ratios, PACKAGES, limits=limits)


if __name__ == "__main__":
    main()
