"""Land cover of one tile: the real WorldCover file by window and whole, and many made parcels, in seconds and memory.

`python -m benchmarks.labels --worldcover <file> [--parcels 150000] [--size 10980]`

Each row runs in a process of its own, so that its peak of memory is its own.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import shapely

from agri_assets.labels.cover import LandSource
from agri_assets.labels.land_cover import write_cover
from agri_assets.labels.legend import worldcover_legend
from agri_assets.labels.parcels import ParcelSource
from agri_assets.labels.settings import ParcelLabels
from agri_assets.labels.worldcover_sheets import Sheet, Sheets
from agri_assets.labels.worldcover_source import WorldCoverSource
from agri_assets.scenes.grid import TileGrid
from benchmarks.results_file import Row, publish

SMALL = 256
"""Edge of the small window, in pixels."""

CROPS = 40
CASES = (
    ("plain.gpkg", "centre"),
    ("plain.gpkg", "touched"),
    ("plain.gpkg", "ignore"),
    ("plain.parquet", "centre"),
    ("covered.parquet", "centre"),
)
"""Files and treatments of boundaries; a covered GeoParquet file has a column of boxes, by which it is read in part."""


def grid_in(file: Path, size: int) -> TileGrid:
    """A grid of `size` pixels of 10 m in UTM, in the middle of the south-western ninth of a WorldCover file."""
    with rasterio.open(file) as source:
        west, south, east, north = source.bounds
    longitude, latitude = west + (east - west) / 6, south + (north - south) / 6
    zone = int((longitude + 180) // 6) + 1
    crs = f"EPSG:{(32600 if latitude >= 0 else 32700) + zone}"
    x, y = gpd.GeoSeries.from_xy([longitude], [latitude], crs="EPSG:4326").to_crs(crs)[0].coords[0]
    left, top = round(x / 60) * 60 - size * 5, round(y / 60) * 60 + size * 5
    return TileGrid(crs=crs, transform=(10.0, 0.0, float(left), 0.0, -10.0, float(top)), height=size, width=size)


def write_parcels(path: Path, grid: TileGrid, count: int) -> None:
    """Twice `count` ragged parcels of 40 crops, half of them over the grid and half beside it, in degrees."""
    random = np.random.default_rng(0)
    side = int(np.sqrt(count))
    left, bottom, right, _ = grid.bounds
    step = (right - left) / side
    col, row = (axis.ravel() for axis in np.meshgrid(np.arange(2 * side), np.arange(side)))
    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    reach = step * random.uniform(0.3, 0.6, (len(col), 24))
    x = (left + (col + 0.5) * step)[:, None] + reach * np.cos(turns)
    y = (bottom + (row + 0.5) * step)[:, None] + reach * np.sin(turns)
    outlines = shapely.polygons(np.stack([x, y], axis=-1))
    crops = [f"crop {number}" for number in random.integers(0, CROPS, len(col))]
    frame = gpd.GeoDataFrame({"crop": crops}, geometry=outlines, crs=grid.crs).to_crs("EPSG:4326")
    if path.suffix == ".parquet":
        frame.to_parquet(path, write_covering_bbox=path.stem == "covered")
    else:
        frame.to_file(path)


def peak_mb() -> float:
    """Most memory that this process has had, in MB (10^6 bytes)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6


def measure(source: LandSource, grid: TileGrid, target: Path) -> dict[str, float]:
    """Seconds and growth of the peak of memory of one land cover."""
    before, started = peak_mb(), time.perf_counter()
    with source.open() as cover:
        write_cover(target, grid, cover, "benchmark")
    return {"seconds": time.perf_counter() - started, "mb_above_start": peak_mb() - before}


def worldcover(file: Path, grid: TileGrid) -> WorldCoverSource:
    """The real file over a grid."""
    return WorldCoverSource(grid, Sheets((Sheet(str(file)),)), worldcover_legend((40,)))


def parcels(file: Path, grid: TileGrid, boundary: str) -> ParcelSource:
    """The made parcels over a grid."""
    mapping = file.with_name("classes.json")
    mapping.write_text(json.dumps({f"crop {n}": "agricultural" if n % 2 else "other" for n in range(CROPS)}))
    labels = ParcelLabels.model_validate(
        {"kind": "parcels", "path": file, "attribute": "crop", "mapping": mapping, "boundary": boundary}
    )
    return ParcelSource(labels, "a benchmark's tile", grid)


def one(case: str, file: Path, grid: TileGrid) -> dict[str, float]:
    """Run one case in this process."""
    source = worldcover(file, grid) if case == "worldcover" else parcels(file, grid, case)
    with tempfile.TemporaryDirectory() as folder:
        return measure(source, grid, Path(folder) / "cover.tif")


def alone(case: str, file: Path, grid: TileGrid) -> dict[str, float]:
    """Run one case in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.labels", "--case", case, str(file), grid.model_dump_json()]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def main() -> None:
    """Measure all cases and publish them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worldcover", type=Path)
    parser.add_argument("--parcels", type=int, default=150_000)
    parser.add_argument("--size", type=int, default=10_980)
    parser.add_argument("--case", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.case:
        case, file, grid = args.case
        print(json.dumps(one(case, Path(file), TileGrid.model_validate_json(grid))))
        return
    if args.worldcover is None:
        parser.error("name a WorldCover file with --worldcover")
    small, full = grid_in(args.worldcover, SMALL), grid_in(args.worldcover, args.size)
    found = [alone("worldcover", args.worldcover, grid) for grid in (small, full)]
    rows: list[Row] = [
        {"source": "worldcover", "pixels": grid.width, **figures}
        for grid, figures in zip((small, full), found, strict=True)
    ]
    with tempfile.TemporaryDirectory() as folder:
        for name, boundary in CASES:
            file = Path(folder) / name
            if not file.exists():
                write_parcels(file, full, args.parcels)
            figures = alone(boundary, file, full)
            rows.append({"source": f"{args.parcels} parcels, {name}, {boundary}", "pixels": full.width, **figures})
    ratios = {"full_over_small_seconds": found[1]["seconds"] / found[0]["seconds"]}
    publish("labels", rows, ratios, ["rasterio", "shapely", "geopandas", "pyogrio", "numpy"])


if __name__ == "__main__":
    main()
