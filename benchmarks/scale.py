"""What grows with the number of dates, tiles and pixels, and what does not.

    python -m benchmarks.scale [--size 10980] [--quick] [--only appends noop splits stream]

One sample product is made once, in `benchmarks/.work`. Its other dates, and the many dates of the large cubes, are hard
links to its files, and every byte of them is read. Each phase runs in a process of its own; only the work is timed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from agri_assets.samples.writer import write_samples
from benchmarks.cube_phases import BANDS, TILE
from benchmarks.phases import Phase, measure
from benchmarks.results_file import Row, publish
from benchmarks.scale_dates import derive_product
from benchmarks.scale_noop import noop_seconds

SAMPLES = Path(__file__).parent / ".work"
PACKAGES = ("dagster", "zarr", "zarrs", "dask", "rasterio", "torch", "pandas", "pyarrow", "numpy")
STREAMED_BYTES = 105_000_000_000
"""Least pixels of the larger cube that is streamed."""

PARTS = ("appends", "noop", "splits", "stream")


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        size: Pixels along one side of a date.
        appended: Dates appended one after the other.
        many: Dates of the cube with many dates.
        rounds: How often the command that finds nothing to do is run.
        tiles: Numbers of tiles to split, the smallest first.
        tile_dates: Dates of each of these tiles.
        streamed: Dates of the two cubes that are streamed, the small one first.
    """

    size: int
    appended: int
    many: int
    rounds: int
    tiles: tuple[int, ...]
    tile_dates: int
    streamed: tuple[int, int]

    def of_size(self, size: int) -> "Plan":
        """The same with dates of another size, of which there are more or less to stream: over 100 GB in all."""
        few = -(-STREAMED_BYTES // (10 * len(BANDS) * size * size * 2))
        return replace(self, size=size, streamed=(few, 10 * few))


FULL = Plan(size=10980, appended=10, many=300, rounds=3, tiles=(1, 10, 100), tile_dates=3, streamed=(5, 50))
QUICK = Plan(size=2048, appended=10, many=300, rounds=1, tiles=(1, 3, 9), tile_dates=1, streamed=(5, 50))


@dataclass
class Bench:
    """One run of the benchmark: how much, where, and what it has found."""

    plan: Plan
    work: Path
    rows: list[Row] = field(default_factory=list)
    ratios: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def appends(self) -> None:
        """Dates of one tile that come one after the other, each in a run of its own."""
        root = self._linked("appended")
        first = float(str(self.rows[-1]["wall_s"]))
        for number in range(1, self.plan.appended):
            self._product(number)
            last = self._note(f"tile_cube: date {number + 1} appended", self._phase("append", root))
        self.ratios["tenth_over_first"] = last.wall_s / first
        self._noop(root, self.plan.appended)
        shutil.rmtree(root)

    def noop(self) -> None:
        """A cube of many dates: the command that finds nothing to do, and one date more."""
        root, dates = self._linked("many", self.plan.many), self.plan.many
        self.ratios["noop_seconds"] = self._noop(root, dates)
        self._phase("list", root, "--dates", str(dates + 1))
        self._note(f"tile_cube: date {dates + 1} appended", self._phase("again", root))
        shutil.rmtree(root)

    def splits(self) -> None:
        """The stage `splits` over the indexes of ever more tiles."""
        found = []
        for tiles in self.plan.tiles:
            root = self.work / f"{tiles}-tiles"
            self._say(f"making the indexes of {tiles} tiles of {self.plan.tile_dates} dates")
            made = [str(root), str(tiles), str(self.plan.tile_dates)]
            subprocess.run([sys.executable, "-m", "benchmarks.made_indexes", *made], check=True)
            phase = self._note(f"splits: {tiles} tiles", self._phase("splits", root))
            found.append((tiles, phase))
            shutil.rmtree(root)
        steps = pairwise(found)
        # time per tile against that of fewer tiles: 1 is linear
        self.ratios["splits_time_growth"] = max((b.wall_s / n) / (a.wall_s / m) for (m, a), (n, b) in steps)
        self.ratios["splits_memory_growth"] = found[-1][1].peak_gb / found[0][1].peak_gb - 1

    def stream(self) -> None:
        """All pixels of a cube once through the loader, and the same of a cube of a tenth of its dates."""
        found = []
        for dates in self.plan.streamed:
            root = self._linked(f"{dates}-dates", dates)
            self._phase("assign", root)
            self._say(f"streaming {dates} dates")
            phase = measure("benchmarks.scale_stream", str(root))
            found.append(self._note(f"streaming {phase.result['gb']:.1f} GB of pixels", phase))
            shutil.rmtree(root)
        few, all_of_it = found
        times = self.plan.streamed[1] // self.plan.streamed[0]
        if all_of_it.result["total"] != few.result["total"] * times % 2**64:
            raise SystemExit("the streamed pixels do not add up to those of a tenth, ten times over")
        self.ratios["memory_growth"] = all_of_it.peak_gb / few.peak_gb - 1
        self.ratios["stream_gb"] = all_of_it.result["gb"]

    def _linked(self, name: str, dates: int = 1) -> Path:
        """A data root with a cube of as many dates: hard links to a cube of one date that the stages built."""
        one, root = self.work / "one", self.work / name
        if not one.exists():
            self._product(0)
            self._note("tile_cube: first date", self._phase("append", one))
        shutil.copytree(one, root, copy_function=os.link)
        if dates > 1:
            self._phase("fill", root, "--dates", str(dates))
        return root

    def _product(self, number: int) -> None:
        samples = self._samples
        write_samples(samples, [TILE], dates=1, size=self.plan.size, cloudy_dates=0)
        derive_product(next(samples.glob("*.SAFE")), self._inbox, number)

    @property
    def _inbox(self) -> Path:
        return self.work / "inbox"

    @property
    def _samples(self) -> Path:
        return SAMPLES / f"safe-{self.plan.size}"

    def _phase(self, name: str, root: Path, *more: str) -> Phase:
        self._say(" ".join([name, root.name, *more]))
        places = ("--scenes", str(self._inbox), "--cover", str(self._samples / "land_cover"))
        return measure("benchmarks.scale_phases", name, str(root), *places, *more)

    def _noop(self, root: Path, dates: int) -> float:
        self._say(f"materialising with nothing new, {dates} dates")
        seconds = noop_seconds(self.work, self._inbox, self._samples / "land_cover", root, self.plan.rounds)
        self.rows.append({"what": f"whole command, nothing new, {dates} dates", "wall_s": round(seconds, 2)})
        return seconds

    def _note(self, what: str, phase: Phase) -> Phase:
        self.rows.append({"what": what, "wall_s": round(phase.wall_s, 2), "peak_gb": round(phase.peak_gb, 3)})
        return phase

    def _say(self, what: str) -> None:
        print(f"{time.monotonic() - self.started:5.0f} s  {what}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--size", type=int, default=FULL.size, help="pixels along one side (default: a full tile)")
    parser.add_argument("--quick", action="store_true", help=f"dates of {QUICK.size} px, within five minutes")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="some parts; nothing is published")
    args = parser.parse_args(arguments)
    work = SAMPLES / "scale"
    shutil.rmtree(work, ignore_errors=True)
    bench = Bench(QUICK if args.quick else FULL.of_size(args.size), work)
    try:
        for part in PARTS:
            if part in args.only:
                getattr(bench, part)()
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if set(args.only) == set(PARTS):
        rows = [{"what": "", "wall_s": "", "peak_gb": "", **row} for row in bench.rows]
        publish("scale_quick" if args.quick else "scale", rows, bench.ratios, PACKAGES)
    else:
        print(*bench.rows, bench.ratios, sep="\n")


if __name__ == "__main__":
    main()
