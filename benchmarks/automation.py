"""What automation costs: from a new scene to its cube, starting up, finding all done, and ten thousand tiles.

    python -m benchmarks.automation [--quick] [--only arrival start noop many]

Everything is done by the real commands, in Dagster homes of its own below `benchmarks/.work`: a daemon, a web UI, and a
browser that opens it. docs/operations.md tells what the figures mean.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.automation_arrival import arrivals
from benchmarks.automation_many import many
from benchmarks.automation_noop import noop
from benchmarks.dagster_home import Home
from benchmarks.results_file import Row, publish

SAMPLES = Path(__file__).parent / ".work"
PACKAGES = ("dagster", "dagster-webserver", "pyarrow", "rasterio", "zarr", "torch")
PARTS = ("start", "arrival", "noop", "many")

LOAD = "from agri_assets.definitions import defs; defs.get_repository_def()"


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        tiles: Tiles of the source into which new scenes come.
        arrivals: How many come.
        starts: How often the code location is loaded.
        models: Of the graph that is found up to date.
        noops: How often it is.
        many: Tiles that are registered without pixels.
        ticks: Looks of the sensor at these.
    """

    tiles: int
    arrivals: int
    starts: int
    models: int
    noops: int
    many: int
    ticks: int


FULL = Plan(tiles=200, arrivals=2, starts=5, models=3, noops=2, many=10_000, ticks=3)
QUICK = Plan(tiles=20, arrivals=1, starts=3, models=1, noops=1, many=1_000, ticks=2)


@dataclass
class Bench:
    """One run of the benchmark: how much, where, and what it has found."""

    plan: Plan
    work: Path
    rows: list[Row] = field(default_factory=list)
    ratios: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def start(self) -> None:
        """The code location in a fresh process, and `dagster dev` from the command to the loaded web UI."""
        rounds = self.plan.starts
        bare = statistics.median(_python("import dagster") for _ in range(rounds))
        load = statistics.median(_python(LOAD) for _ in range(rounds))
        self._row("import dagster, fresh process", bare)
        self._row("code location loaded, fresh process", load)
        with self._shipped().platform() as platform:
            self._row("dagster dev: code location loaded and web UI answers", platform.ready_s)
            self.ratios |= {"import_dagster_s": bare, "load_s": load, "dev_ready_s": platform.ready_s}

    def arrival(self) -> None:
        """A new scene of one of many tiles."""
        found = arrivals(self.work, SAMPLES, self.plan.tiles, self.plan.arrivals)
        for one in found:
            if not one.only_its_own or one.dates != 2:
                raise SystemExit(f"{one.tile}: its own inventory, land cover and cube should have run, did {one}")
            what = f"new scene of {one.tile}, one of {self.plan.tiles} tiles: "
            self._row(what + "run asked for after", one.requested_after_s)
            self._row(what + "in the cube after", one.cube_after_s)
            self._row(what + "of which the cube's own step", one.cube_s)
        self.ratios["arrival_besides_cube_s"] = max(one.besides_s for one in found)
        self.ratios["arrival_runs_of_other_tiles"] = float(sum(not one.only_its_own for one in found))

    def noop(self) -> None:
        """The whole graph, up to date, beside the same of empty assets."""
        found = noop(self.work, self.plan.models, self.plan.noops)
        self._row(f"whole graph of {found.assets} assets, nothing to do, one command", found.ours_s)
        self._row("the same graph of empty assets", found.empty_s)
        self.ratios |= {"noop_s": found.ours_s, "noop_over_empty": found.ours_s / found.empty_s}

    def many(self) -> None:
        """Many registered tiles without pixels."""
        tiles = self.plan.many
        found = many(self.work, tiles, self.plan.ticks)
        self._row(f"tile_catalog of {tiles} new tiles, command", found.first_s)
        self._row(f"tile_catalog of {tiles} known tiles, command", found.again_s)
        for number, took in enumerate(found.ticks_s, start=1):
            self._row(f"sensor tick {number} over {tiles} tiles, in the daemon", took, found.server_gb)
        for page in found.pages:
            self._row(f"asset page of tile_cube, {page.view}, in a browser", page.shown_s)
            self._row(f"  slowest of its {page.queries} queries, {page.slowest}", page.slowest_s)
        self.ratios |= {
            "many_catalog_again_s": found.again_s,
            "many_tick_s": max(found.ticks_s),
            "many_server_gb": found.server_gb,
            "many_page_s": max(page.shown_s for page in found.pages),
        }

    def _shipped(self) -> Home:
        """A home with the collections of the repository."""
        home = Home.make(self.work / "start", {})
        shutil.copy(Path(__file__).parents[1] / "collections.yaml", home.folder)
        return home

    def _row(self, what: str, seconds: float, peak_gb: float | str = "") -> None:
        told = round(peak_gb, 3) if isinstance(peak_gb, float) else peak_gb
        self.rows.append({"what": what, "wall_s": round(seconds, 2), "server_gb": told})
        print(f"{time.monotonic() - self.started:5.0f} s  {what}: {seconds:.2f} s", file=sys.stderr, flush=True)


def _python(code: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
    return time.perf_counter() - started


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="fewer tiles and one model, within three minutes")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="some parts; nothing is published")
    args = parser.parse_args(arguments)
    work = SAMPLES / "automation"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    bench = Bench(QUICK if args.quick else FULL, work)
    load = os.getloadavg()[0]
    try:
        for part in PARTS:
            if part in args.only:
                getattr(bench, part)()
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if set(args.only) == set(PARTS):
        name = "automation_quick" if args.quick else "automation"
        publish(name, bench.rows, bench.ratios, PACKAGES, load_before=f"{load:.1f}")
    else:
        print(*bench.rows, bench.ratios, sep="\n")


if __name__ == "__main__":
    main()
