"""How long the whole command takes that finds a tile's cube up to date, from its start to its end."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.cube_phases import BANDS, TILE

HOME = Path(__file__).parents[1] / "dagster_home" / "dagster.yaml"


def noop_seconds(work: Path, scenes: Path, cover: Path, root: Path, rounds: int) -> float:
    """The median time of `dagster asset materialize` of a cube for which there is nothing to do.

    Raises:
        SystemExit: The command fails, or does something.
    """
    environment = _environment(work, scenes, cover, root)
    _materialize(environment, "tile_catalog")
    took = []
    for _ in range(rounds):
        started = time.perf_counter()
        output = _materialize(environment, "tile_cube", "--partition", TILE)
        took.append(time.perf_counter() - started)
        if "already up to date" not in output:
            raise SystemExit(f"tile_cube was not up to date: {output}")
    return statistics.median(took)


def _environment(work: Path, scenes: Path, cover: Path, root: Path) -> dict[str, str]:
    """A collection of the scenes and an instance of its own, with the repository's settings."""
    home, collections = work / "home", work / "collections.yaml"
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(HOME, home)
    bench = {
        "source": {"kind": "safe", "path": str(scenes)},
        "bands": list(BANDS),
        "labels": {"kind": "worldcover", "path": str(cover)},
    }
    # JSON is YAML
    collections.write_text(json.dumps({"collections": {"bench": bench}}, indent=1))
    own = {"DAGSTER_HOME": home, "AGRI_COLLECTIONS": collections, "AGRI_DATA_ROOT": root}
    return {**os.environ, **{name: str(path) for name, path in own.items()}}


def _materialize(environment: dict[str, str], asset: str, *more: str) -> str:
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "agri_assets.definitions"]
    command += ["--select", f"key:bench/{asset}", *more]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {done.stderr}")
    return done.stdout + done.stderr
