"""Predicting a large test split: its rate against forward passes alone, and whether its memory grows.

    python -m benchmarks.evaluation [--quick]

A made cube of ten bands, 64 px, and the hybrid as it comes; 50,000 samples against a quarter of them. Memory is that of
all processes, less what the imports alone take.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.made_cube import made_cube
from benchmarks.phases import Phase, measure
from benchmarks.results_file import Row, publish

WORK = Path(__file__).parent / ".work" / "evaluation"
PACKAGES = ("torch", "timm", "zarr", "zarrs", "numpy")
SIZE, SLOTS, SAMPLES = 10240, 2, 50_000
QUICK_SIZE, QUICK_SAMPLES = 4096, 4_000


def phase(name: str, *arguments: str) -> Phase:
    """One phase."""
    return measure("benchmarks.evaluation_phases", name, *arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a twelfth of the samples")
    args = parser.parse_args(arguments)
    size, many = (QUICK_SIZE, QUICK_SAMPLES) if args.quick else (SIZE, SAMPLES)
    cube = str(made_cube(WORK / f"{size}-{SLOTS}" / "31TCJ.zarr", size, SLOTS))
    imports, forward = phase("imports"), phase("forward", cube)
    found = {samples: phase("predicted", cube, str(samples)) for samples in (many // 4, many)}
    again = phase("forward", cube)
    alone = (forward.result["samples"] + again.result["samples"]) / (forward.wall_s + again.wall_s)
    rates = {samples: one.result["samples"] / one.wall_s for samples, one in found.items()}
    over = {samples: one.peak_gb - imports.peak_gb for samples, one in found.items()}
    rows: list[Row] = [{"what": "forward passes alone", "samples_per_s": round(alone, 1), "over_imports_gb": 0.0}]
    rows += [
        {
            "what": f"{samples:,} samples of a cube",
            "samples_per_s": round(rates[samples], 1),
            "over_imports_gb": round(over[samples], 3),
        }
        for samples in found
    ]
    rows[0] = {**rows[0], "over_imports_gb": round(forward.peak_gb - imports.peak_gb, 3)}
    ratios = {"over_forward": rates[many] / alone, "growth": over[many] / over[many // 4] - 1}
    publish("evaluation_quick" if args.quick else "evaluation", rows, ratios, PACKAGES)


if __name__ == "__main__":
    main()
