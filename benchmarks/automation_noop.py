"""What it costs to find the whole graph up to date, beside the same graph of empty assets."""

import re
import statistics
from dataclasses import dataclass
from pathlib import Path

from benchmarks.dagster_home import Home

NAME = "sample"
TILES = ("31TCJ", "31TDJ")
INGEST = " or ".join(f"key:{NAME}/{asset}" for asset in ("raw_scenes", "land_cover", "tile_cube"))
GRAPH = f"key:{NAME}/tile_catalog+"
EMPTY = "benchmarks.empty_graph"
DONE = re.compile("already up to date")

MODELS: dict[str, dict[str, object]] = {
    "cnn_vit_hybrid": {"options": {"width": 64, "depth": 1}},
    "resnet50": {"options": {"input_size": 32}},
    "efficientnet_b3": {"options": {"input_size": 32}},
}


@dataclass(frozen=True)
class Noop:
    """The whole graph for one tile in one run, with nothing to do.

    Attributes:
        assets: How many assets the graph has.
        ours_s: The command, median of all rounds.
        empty_s: The same of empty assets.
    """

    assets: int
    ours_s: float
    empty_s: float


def noop(work: Path, models: int, rounds: int) -> Noop:
    """Build the sample collection, small, with so many of its models; then find it up to date, in turns with nothing.

    Raises:
        SystemExit: A command fails, or an asset does something.
    """
    home = Home.make(work / "noop", {NAME: _collection(models)})
    _build(home)
    assets = 8 + 2 * models
    ours, empty = [], []
    for _ in range(rounds):
        output, took = home.materialize(GRAPH, "--partition", TILES[0])
        if (done := len(DONE.findall(output))) != assets:
            raise SystemExit(f"{done} of {assets} assets were up to date: {output[-4000:]}")
        ours.append(took)
        empty.append(home.materialize(GRAPH, "--partition", TILES[0], module=EMPTY)[1])
    return Noop(assets, statistics.median(ours), statistics.median(empty))


def _build(home: Home) -> None:
    """The commands of the README, in its order."""
    home.materialize(f"key:{NAME}/tile_catalog")
    for tile in TILES:
        home.materialize(INGEST, "--partition", tile)
    home.materialize(f"key:{NAME}/splits+ and not key:{NAME}/land_map")
    home.materialize(f"key:{NAME}/land_map", "--partition", TILES[0])


def _collection(models: int) -> dict[str, object]:
    """As small as a split with both classes on both sides, and networks that learn nothing, can be."""
    return {
        "source": {"kind": "sample", "tiles": list(TILES), "dates": 1, "cloudy_dates": 0, "damaged": 0, "size": 1152},
        "bands": ["B02", "B03", "B04", "B08", "B11"],
        "tile_size": 32,
        "labels": {"kind": "worldcover"},
        "split": {"resolution": 7, "seed": 1},
        "recipe": {"epochs": 1, "batch_size": 64, "workers": 0},
        "models": dict(list(MODELS.items())[:models]),
        "evaluation": {"champion_minimum": 0.0, "champion_ece": 1.0, "bootstrap": 100},
    }
