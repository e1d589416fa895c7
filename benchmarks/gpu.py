"""Trainings on a CUDA device: how busy it is, what mixed precision saves, and what reading costs.

    python -m benchmarks.gpu [--wheels FOLDER] [--quick] [--trial]

Runs with the torch that is there and without a network; what else is missing comes from a folder of wheels (made by
`python -m benchmarks.gpu_wheels FOLDER`). Made cube, ten bands, 64 px. `--trial` runs the same on a CPU, to see that it
runs, and publishes nothing.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu_wheels import provide

WORK = Path(__file__).parent / ".work" / "gpu"
PACKAGES = ("torch", "lightning", "timm", "zarr", "zarrs", "numpy")
SIZE, QUICK_SIZE, TRIAL_SIZE = 10240, 5120, 1024
MODELS = ("efficientnet_b3", "cnn_vit_hybrid")
PRECISIONS = ("32", "bf16-mixed")
BATCH, TRIAL_BATCH, WORKERS = 512, 32, 8


def settings(precision: str, *, trial: bool) -> dict[str, Any]:
    """Of the recipe."""
    return {"precision": precision, "batch_size": TRIAL_BATCH if trial else BATCH, "workers": 2 if trial else WORKERS}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--wheels", type=Path, help="a folder of wheels for what is missing here")
    parser.add_argument("--quick", action="store_true", help="a quarter of the tiles")
    parser.add_argument("--trial", action="store_true", help="a few tiles on a CPU; publishes nothing")
    args = parser.parse_args(arguments)
    provide(args.wheels)
    import torch

    if not args.trial and not torch.cuda.is_available():
        raise SystemExit("torch sees no CUDA device here; --trial runs on a CPU")
    size = TRIAL_SIZE if args.trial else QUICK_SIZE if args.quick else SIZE
    rows, ratios = measured(size, trial=args.trial)
    if args.trial:
        print(*rows, ratios, sep="\n")
        return
    from benchmarks.results_file import publish

    publish("gpu_quick" if args.quick else "gpu", rows, ratios, PACKAGES, device=torch.cuda.get_device_name(0))


def measured(size: int, *, trial: bool) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """A row for each model and precision, and the ratios."""
    # from here on: what `provide` may have had to bring
    from benchmarks.made_cube import made_cube

    cube = made_cube(WORK / str(size) / "31TCJ.zarr", size)
    rows: list[dict[str, Any]] = []
    ratios: dict[str, float] = {}
    for model in MODELS:
        found = {precision: _row(cube, model, precision, trial=trial) for precision in PRECISIONS}
        rows += found.values()
        plain, mixed = (found[precision] for precision in PRECISIONS)
        if not trial:
            ratios[f"gpu_utilisation_{model}"] = min(plain["gpu_utilisation"], mixed["gpu_utilisation"])
            ratios[f"mixed_over_float32_memory_{model}"] = mixed["peak_gpu_memory_mb"] / plain["peak_gpu_memory_mb"]
        ratios[f"joint_over_resident_{model}"] = min(one["joint_over_resident"] for one in found.values())
        ratios[f"data_wait_{model}"] = max(one["data_wait"] for one in found.values())
    if not trial:
        ratios["gpu_utilisation"] = min(ratios[f"gpu_utilisation_{model}"] for model in MODELS)
    return rows, ratios


def _row(cube: Path, model: str, precision: str, *, trial: bool) -> dict[str, Any]:
    from benchmarks.phases import measure

    said = json.dumps(settings(precision, trial=trial))
    common = (str(cube), "--model", model, "--settings", said)
    joint, resident = (measure("benchmarks.training_phases", phase, *common) for phase in ("joint", "resident"))
    kept = float(resident.result["samples"]) / resident.wall_s
    known = {"model": model, "precision": precision, "samples_per_s": joint.result["samples_per_s"]}
    device = {name: joint.result[name] for name in ("gpu_utilisation", "peak_gpu_memory_mb") if name in joint.result}
    wait = {"data_wait": joint.result["data_wait"], "joint_over_resident": joint.result["samples_per_s"] / kept}
    return {**known, **wait, **device}


if __name__ == "__main__":
    main()
