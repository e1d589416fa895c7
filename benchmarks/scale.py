"""What grows with the number of dates, tiles and pixels, and what does not.

    python -m benchmarks.scale [--quick] [--only appends noop splits stream]

One sample product is made once, in `benchmarks/.work`; its other dates, and the many dates of the large cube, are hard
links to its pixels. Every phase runs in a process of its own. `docs/` says nothing of the figures: the JSON does.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agri_assets.samples.writer import write_samples
from benchmarks.cube_phases import TILE
from benchmarks.phases import Phase, measure
from benchmarks.results_file import Row, publish
from benchmarks.scale_dates import derive_product
from benchmarks.scale_noop import noop_seconds

SAMPLES = Path(__file__).parent / ".work"
PACKAGES = ("dagster", "zarr", "zarrs", "dask", "rasterio", "torch", "pandas", "pyarrow", "numpy")
PARTS = ("appends", "noop", "splits", "stream")


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        size: Pixels along one side of a date.
        appended: Dates appended one after the other.
        many: Dates of the cube with many dates.
        tiles: Numbers of tiles to split.
        tile_dates: Dates of each of these.
        streamed: Dates of the cube that is streamed, and of the one of a tenth of its size.
    """

    size: int
    appended: int
    many: int
    tiles: tuple[int, ...]
    tile_dates: int
    streamed: tuple[int, int]


FULL = Plan(size=10980, appended=10, many=300, tiles=(1, 10, 100), tile_dates=5, streamed=(5, 50))
QUICK = Plan(size=3072, appended=10, many=300, tiles=(1, 4, 16), tile_dates=2, streamed=(5, 50))


@dataclass
class Bench:
    """One run of the benchmark: where it works, and what it has found."""

    plan: Plan
    work: Path
    rows: list[Row] = field(default_factory=list)
    ratios: dict[str, float] = field(default_factory=dict)

    @property
    def inbox(self) -> Path:
        """The products that the collection's source lists."""
        return self.work / "inbox"

    @property
    def samples(self) -> Path:
        """The product that all others are derived from, and its land cover."""
        return SAMPLES / f"safe-{self.plan.size}"

    def phase(self, name: str, root: Path, *more: str) -> Phase:
        """One measured process of `scale_phases`."""
        say(f"{name} {root.name} {' '.join(more)}")
        cover = self.samples / "land_cover"
        options = ("--scenes", str(self.inbox), "--cover", str(cover), *more)
        return measure("benchmarks.scale_phases", name, str(root), *options)

    def note(self, what: str, phase: Phase) -> Phase:
        """Keep a row of the table."""
        self.rows.append({"what": what, "wall_s": round(phase.wall_s, 2), "peak_gb": round(phase.peak_gb, 3)})
        return phase

    def one_date(self) -> Path:
        """A cube of one date, built by the stages."""
        root = self.work / "one"
        if not root.exists():
            self._product(0)
            self.note("tile_cube: date 1", self.phase("append", root))
        return root

    def copy(self, name: str, dates: int) -> Path:
        """The cube of one date with as many dates as are wanted: copies of hard links."""
        root = self.work / name
        shutil.copytree(self.one_date(), root, copy_function=os.link)
        self.phase("multiply", root, "--dates", str(dates))
        return root

    def _product(self, number: int) -> None:
        write_samples(self.samples, [TILE], dates=1, size=self.plan.size, cloudy_dates=0)
        derive_product(next(self.samples.glob("*.SAFE")), self.inbox, number)

    def appends(self) -> None:
        """Dates that come one after the other."""
        root = self.work / "appended"
        shutil.copytree(self.one_date(), root, copy_function=os.link)
        first = float(str(self.rows[-1]["wall_s"]))
        for number in range(1, self.plan.appended):
            self._product(number)
            took = self.note(f"tile_cube: date {number + 1}", self.phase("append", root)).wall_s
        self.ratios["tenth_over_first"] = took / first
        self._noop(root, self.plan.appended)
        shutil.rmtree(root)

    def noop(self) -> None:
        """A cube of many dates: the command that finds nothing to do, and one date more."""
        root = self.copy("many", self.plan.many)
        self.ratios["noop_seconds"] = self._noop(root, self.plan.many)
        self.phase("multiply", root, "--dates", str(self.plan.many))
        shutil.rmtree(root)

    def _noop(self, root: Path, dates: int) -> float:
        say(f"nothing to do, {dates} dates")
        seconds = noop_seconds(self.work, self.inbox, self.samples / "land_cover", root)
        self.rows.append({"what": f"whole command, nothing new, {dates} dates", "wall_s": round(seconds, 2)})
        return seconds
