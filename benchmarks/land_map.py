"""Mapping a full tile against mapping a quarter of it, in memory; and against bare forward passes, in windows a second.

    python -m benchmarks.land_map [--size 10980] [--quick]

Made cubes of one date, ten bands, 64 px, mapped by the hybrid as it is by default, but untrained. What is timed is the
whole stage: predicting, writing both maps, polygons, page and picture. Phases take turns, since a machine's speed
drifts from minute to minute.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.land_map_phases import FORWARD, STRIDE, prepare
from benchmarks.phases import Phase, mean, measure
from benchmarks.results_file import Row, publish

WORK = Path(__file__).parent / ".work" / "land_map"
PACKAGES = ("torch", "timm", "zarr", "zarrs", "numpy", "rasterio")
FULL, QUICK = 10980, 4096
LIMITS = {"memory_full_over_quarter": 1.05, "over_forward": 0.9}
"""What the full form is to show: at most, and at least."""


def rate(phase: Phase) -> float:
    """Windows a second."""
    return float(phase.result["windows"]) / phase.wall_s


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--size", type=int, default=FULL, help="pixels along one side (default: a full tile)")
    parser.add_argument("--rounds", type=int, default=2, help="how often phases take turns")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} px once, within five minutes")
    args = parser.parse_args(arguments)
    size, rounds = (QUICK, 1) if args.quick else (args.size, args.rounds)
    full, quarter = (prepare(WORK / str(edge), edge) for edge in (size, size // 2))
    phases = {
        "forward": ("forward", str(full)),
        "quarter": ("map", str(quarter)),
        "full": ("map", str(full)),
        "fine": ("map", str(quarter), "--stride", str(STRIDE)),
    }
    found: list[dict[str, Phase]] = []
    for _ in range(rounds):
        found.append({name: measure("benchmarks.land_map_phases", *one) for name, one in phases.items()})
    over = {name: mean([one[name] for one in found]) for name in phases}
    names = {
        "forward": f"bare forward passes over {FORWARD} batches of 128",
        "quarter": f"map of {size // 2} px",
        "full": f"map of {size} px",
        "fine": f"map of {size // 2} px, windows every {STRIDE} px",
    }
    rows: list[Row] = [
        {
            "what": text,
            "windows": int(over[name].result["windows"]),
            "wall_s": round(over[name].wall_s, 2),
            "windows_per_s": round(rate(over[name]), 1),
            "over_forward": round(rate(over[name]) / rate(over["forward"]), 3),
            "peak_gb": round(over[name].peak_gb, 3),
        }
        for name, text in names.items()
    ]
    ratios = {
        "memory_full_over_quarter": over["full"].peak_gb / over["quarter"].peak_gb,
        "over_forward": rate(over["full"]) / rate(over["forward"]),
        "fine_over_forward": rate(over["fine"]) / rate(over["forward"]),
    }
    limits = ", ".join(f"{name} {limit:g}" for name, limit in LIMITS.items())
    publish("land_map_quick" if args.quick else "land_map", rows, ratios, PACKAGES, limits=limits)


if __name__ == "__main__":
    main()
