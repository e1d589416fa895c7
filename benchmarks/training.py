"""Training while reading against training on one batch that stays on the device; and what saves time between epochs.

    python -m benchmarks.training [--quick]

Made cubes, ten bands, 64 px. On a CPU, reading takes its share of the cores that training wants, so the first ratio is
below one by what decoding costs; on a CUDA device the two hardly meet. Phases that are compared take turns.
"""

import argparse
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.made_cube import made_cube
from benchmarks.phases import Phase, mean, measure
from benchmarks.results_file import Row, publish
from tests.object_storage import BUCKET, environment, served

WORK = Path(__file__).parent / ".work" / "training"
PACKAGES = ("torch", "lightning", "timm", "zarr", "zarrs", "numpy")
SMALL, LARGE = 2048, 10240
ROUNDS = 2
CUBE = "31TCJ.zarr"


def turns(phases: Mapping[str, tuple[Any, ...]], rounds: int) -> dict[str, Phase]:
    """Each phase as often as there are rounds, in turns."""
    found = [{name: measure("benchmarks.training_phases", *map(str, one)) for name, one in phases.items()}]
    for _ in range(rounds - 1):
        found.append({name: measure("benchmarks.training_phases", *map(str, one)) for name, one in phases.items()})
    return {name: mean([one[name] for one in found]) for name in phases}


def trainings(slots: int, rounds: int) -> tuple[list[Row], dict[str, float]]:
    """The hybrid, reading as it trains against one batch kept."""
    cube = made_cube(WORK / f"{SMALL}-{slots}" / CUBE, SMALL, slots)
    found = turns({"joint": ("joint", cube), "resident": ("resident", cube)}, rounds)
    joint, resident = found["joint"].result, found["resident"]
    kept = float(resident.result["samples"]) / resident.wall_s
    rows: list[Row] = [
        {"what": "training, one batch kept on the device", "samples_per_s": round(kept, 1)},
        {
            "what": "training, reading as it trains",
            "samples_per_s": round(joint["samples_per_s"], 1),
            "data_wait": round(joint["data_wait"], 4),
        },
    ]
    return rows, {"joint_over_resident": joint["samples_per_s"] / kept, "data_wait": joint["data_wait"]}


def workers(large: int, rounds: int) -> tuple[list[Row], dict[str, float]]:
    """Epochs with workers that stay against new ones for each, where an epoch is short and where it is long."""
    rows: list[Row] = []
    ratios = {}
    for size in (SMALL, large):
        cube = made_cube(WORK / f"{size}-1" / CUBE, size)
        found = turns({"persistent": ("persistent", cube), "fresh": ("fresh", cube)}, rounds)
        seconds = {name: phase.wall_s / int(phase.result["epochs"]) for name, phase in found.items()}
        tiles = int(found["fresh"].result["tiles"]) // int(found["fresh"].result["epochs"])
        what = {"persistent": "workers that stay", "fresh": "new workers for each epoch"}
        rows += [
            {"what": f"epoch of {tiles} tiles, {what[name]}", "epoch_s": round(took, 3)}
            for name, took in seconds.items()
        ]
        ratios[f"persistent_saves_{tiles}_tiles"] = 1 - seconds["persistent"] / seconds["fresh"]
    return rows, ratios


def cache() -> tuple[list[Row], dict[str, float]]:
    """Epochs of a cube in object storage, with and without the local cache."""
    local = made_cube(WORK / f"{SMALL}-1" / CUBE, SMALL)
    rows: list[Row] = []
    seconds = {}
    with tempfile.TemporaryDirectory() as folder, served(Path(folder) / "log") as server:
        os.environ.update(environment(server))
        server.empty()
        remote = _upload(local)
        for name, settings in {
            "without": {},
            "with": {"AGRI_CACHE": str(Path(folder) / "cache"), "AGRI_CACHE_GB": "1"},
        }.items():
            os.environ.pop("AGRI_CACHE_GB", None)
            os.environ.update(settings)
            phase = measure("benchmarks.training_phases", "persistent", remote)
            seconds[name] = phase.wall_s / int(phase.result["epochs"])
            rows.append(
                {"what": f"epoch of a cube in object storage, {name} cache", "epoch_s": round(seconds[name], 3)}
            )
    return rows, {"cache_saves_remote": 1 - seconds["with"] / seconds["without"]}


def _upload(cube: Path) -> str:
    """The cube in the server's bucket."""
    from agri_assets.objects import ObjectPath

    target = ObjectPath(f"s3://{BUCKET}/{CUBE}")
    for file in sorted(path for path in cube.rglob("*") if path.is_file()):
        (target / file.relative_to(cube)).write_bytes(file.read_bytes())
    return str(target)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="fewer tiles, one round")
    args = parser.parse_args(arguments)
    rounds = 1 if args.quick else ROUNDS
    parts = [
        trainings(1 if args.quick else 4, rounds),
        workers(SMALL * 2 if args.quick else LARGE, rounds),
        cache(),
    ]
    empty = {"what": "", "samples_per_s": "", "data_wait": "", "epoch_s": ""}
    rows = [{**empty, **row} for found, _ in parts for row in found]
    ratios = {name: ratio for _, found in parts for name, ratio in found.items()}
    publish("training_quick" if args.quick else "training", rows, ratios, PACKAGES)


if __name__ == "__main__":
    main()
