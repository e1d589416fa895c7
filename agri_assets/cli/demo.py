"""`agri-assets demo`: the main job on sample scenes, by printing and running the README's own commands."""

import argparse
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agri_assets.config import data_root, load_collections
from agri_assets.errors import AgriAssetsError, StoreError
from agri_assets.scenes.settings import SampleSource
from agri_assets.store.commit import read_json
from agri_assets.store.layout import CollectionPaths

HELP = "run the whole path on sample scenes: catalogue, cube, splits, models, reports, maps"

COLLECTION = "sample"
MATERIALIZE = "dagster asset materialize -m agri_assets.definitions --select"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments: there are none."""


def commands(tiles: Sequence[str]) -> list[str]:
    """The commands of the main job, in order, as the README prints them."""
    per_tile = f"'key:{COLLECTION}/raw_scenes or key:{COLLECTION}/land_cover or key:{COLLECTION}/tile_cube'"
    learn = f"'key:{COLLECTION}/splits+ and not key:{COLLECTION}/land_map'"
    return [
        f"{MATERIALIZE} key:{COLLECTION}/tile_catalog",
        *(f"{MATERIALIZE} {per_tile} --partition {tile}" for tile in tiles),
        f"{MATERIALIZE} {learn}",
        *(f"{MATERIALIZE} key:{COLLECTION}/land_map --partition {tile}" for tile in tiles),
    ]


def run(args: argparse.Namespace) -> int:
    """Run every command, then show what came out."""
    source = load_collections().collection(COLLECTION).source
    if not isinstance(source, SampleSource):
        raise StoreError(
            f"the demo needs collection {COLLECTION!r} with `source: {{kind: sample}}`; it is {source.kind}"
        )
    started = time.monotonic()
    for command in commands(source.tiles):
        _run(command)
    paths = CollectionPaths(data_root(), COLLECTION)
    show_results(paths, source.tiles)
    print(f"\nDone in {time.monotonic() - started:.0f} s. Run it again: what is done is not done twice.")
    return 0


class DemoError(AgriAssetsError):
    """A command of the demo failed; its own message stands above."""


def _run(command: str) -> None:
    print(f"\n$ {command}", flush=True)
    started = time.monotonic()
    words = shlex.split(command)
    words[0] = str(Path(sys.executable).with_name(words[0]))
    # dagster announces its successor at every start; the commands used here stay supported in this version range
    environment = {**os.environ, "PYTHONWARNINGS": "ignore::FutureWarning"}
    environment.setdefault("DAGSTER_HOME", str(Path.cwd() / "dagster_home"))
    code = subprocess.run(words, env=environment, check=False).returncode
    if code != 0:
        raise DemoError(f"`{command}` ended with exit code {code}; its message stands above")
    print(f"  ({time.monotonic() - started:.0f} s)", flush=True)


def show_results(paths: CollectionPaths, tiles: Sequence[str]) -> None:
    """Print each model's test figures, and where the reports, the maps and the web UI are."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Test figures (made landscapes: they say nothing about the real world)", box=SIMPLE)
    table.add_column("model", no_wrap=True)
    for column in ("ROC AUC", "95 %", "F1", "acc.", "prec.", "recall", "samples"):
        table.add_column(column, justify="right", no_wrap=True)
    reports = []
    for folder in sorted(path for path in (paths.folder / "reports").iterdir() if path.is_dir()):
        report = paths.report_run(folder.name, read_json(folder / "current.json")["run"])
        table.add_row(folder.name, *_figures(read_json(report / "metrics.json")))
        reports.append(report / "report.html")
    # where output is piped, rich takes 80 columns for granted and would cut the figures
    console = Console(width=max(100, Console().width))
    console.print()
    console.print(table)
    champion = read_json(paths.champion) if paths.champion.exists() else {"model": "none (see the comparison)"}
    lines = [f"Champion: {champion['model']}", *(f"Report:   {path}" for path in reports)]
    lines.append(f"Compare:  {paths.comparison / 'comparison.html'}")
    lines += [f"Map:      {paths.map(tile).with_suffix('.html')}" for tile in tiles]
    lines += [f"          {paths.map(tile)}" for tile in tiles]
    if "run" in champion:
        lines.append(f"Bundle:   {paths.bundle(champion['model'], champion['run'])}")
    lines.append("Web UI:   make dev   (then open http://localhost:3000)")
    for line in lines:
        print(line)


def _figures(metrics: dict[str, Any]) -> list[str]:
    interval = "-".join(_shown(bound) for bound in metrics["ci95"].get("roc_auc") or ())
    values = [_shown(metrics[name]) for name in ("f1", "accuracy", "precision", "recall")]
    return [_shown(metrics["roc_auc"]), interval, *values, str(metrics["n"])]


def _shown(value: float | None) -> str:
    """A figure, or a dash where it is undefined."""
    return "-" if value is None else f"{value:.3f}"
