"""Sample scenes on disk: writes what is missing, keeps what is there, and never leaves half a product."""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from agri_assets.errors import ConfigError
from agri_assets.progress import meter
from agri_assets.samples.landcover import plan_sheets, write_sheet
from agri_assets.samples.manifest import MANIFEST
from agri_assets.samples.passes import Pass, plan_passes
from agri_assets.samples.product import blocks, forget_land, make_truth, write_product
from agri_assets.samples.tiles import Window, parse_tile, place_windows
from agri_assets.store.commit import STAGING_PREFIX, locked, staged, write_json

logger = logging.getLogger(__name__)

CODE_VERSION = 1
"""Raised whenever the same parameters would give other pixels or documents."""
RECORD = "samples.json"
"""What the folder holds and with which parameters it was made; written before the products it names."""
LAND_COVER = "land_cover"
MOST_DATES = 14
"""One year of dates at their spacing."""


@dataclass(frozen=True)
class SampleSet:
    """The sample scenes asked for.

    Attributes:
        products: The `.SAFE` folders, tile by tile, dates in order; damaged ones last.
        land_cover: Land-cover files in WorldCover's form.
        reused: True if all of it was already there and nothing was written.
    """

    products: tuple[Path, ...]
    land_cover: tuple[Path, ...]
    reused: bool


class ProductRecord(BaseModel):
    """With what a product was made."""

    tile: str
    ulx: int
    uly: int
    size: int
    cloudy: bool
    damaged: bool


class FolderRecord(BaseModel):
    """`samples.json`."""

    code_version: int
    seed: int
    products: dict[str, ProductRecord]
    land_cover: dict[str, list[int]] = {}


@dataclass(frozen=True)
class _Job:
    """One product to be there in the end."""

    window: Window
    overpass: Pass

    @property
    def name(self) -> str:
        return self.overpass.product_name(self.window.tile)

    @property
    def record(self) -> ProductRecord:
        window, overpass = self.window, self.overpass
        return ProductRecord(
            tile=window.tile.name,
            ulx=window.ulx,
            uly=window.uly,
            size=window.size,
            cloudy=overpass.weather.cloudy,
            damaged=overpass.damaged,
        )


def write_samples(
    folder: Path,
    tiles: Sequence[str],
    dates: int = 2,
    size: int = 2048,
    seed: int = 0,
    cloudy_dates: int = 1,
    damaged: int = 0,
) -> SampleSet:
    """Write sample scenes and their land cover; what is already there with the same parameters is kept.

    Args:
        folder: Where to; made if missing.
        tiles: MGRS tile names; their windows are placed where the tiles meet.
        dates: Products per tile.
        size: Side of the products in pixels of 10 m, even, at most 10980.
        seed: The landscape's and the weather's seed.
        cloudy_dates: How many of the dates, the last ones, are cloudy.
        damaged: Further products of the first tile with one broken image each.

    Raises:
        ConfigError: A parameter is out of range, or the folder holds samples made with other parameters.
        StoreError: Another process is writing to the folder.
    """
    _check(folder, dates, cloudy_dates, damaged)
    jobs = _plan(place_windows(tiles, size), dates, cloudy_dates, damaged, seed)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / RECORD, "sample scenes"):
        _sweep(folder)
        record = _merge(folder, jobs, seed)
        missing = [job for job in jobs if not (folder / job.name / MANIFEST).is_file()]
        if missing:
            write_json(folder / RECORD, record.model_dump())
        with meter("sample scenes", sum(len(blocks(job.window)) for job in missing), "blocks") as progress:
            for job in missing:
                with staged(folder / job.name) as staging:
                    write_product(staging, job.window, job.overpass, seed, progress.advance)
                logger.info("wrote %s", folder / job.name)
        forget_land()
        sheets, drawn = _write_land_cover(folder, record)
    logger.info("%s: %d of %d products written, %d kept", folder, len(missing), len(jobs), len(jobs) - len(missing))
    return SampleSet(tuple(folder / job.name for job in jobs), sheets, not missing and not drawn)


def _check(folder: Path, dates: int, cloudy_dates: int, damaged: int) -> None:
    """Refuse numbers that make no sense."""
    if not 1 <= dates <= MOST_DATES:
        raise ConfigError(f"dates {dates} is out of range; ask for 1 to {MOST_DATES}")
    if not 0 <= cloudy_dates <= dates:
        raise ConfigError(f"cloudy dates {cloudy_dates} is out of range; ask for 0 to the number of dates, {dates}")
    if not 0 <= damaged <= MOST_DATES:
        raise ConfigError(f"damaged {damaged} is out of range; ask for 0 to {MOST_DATES}")
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file; name a folder for the sample scenes")


def _plan(windows: Sequence[Window], dates: int, cloudy_dates: int, damaged: int, seed: int) -> list[_Job]:
    """All products, tile by tile, the damaged ones last."""
    passes = plan_passes([window.tile for window in windows], dates, cloudy_dates, damaged, seed)
    whole = [_Job(window, overpass) for window in windows for overpass in passes[:dates]]
    return whole + [_Job(windows[0], overpass) for overpass in passes[dates:]]


def _sweep(folder: Path) -> None:
    """Remove what an interrupted run left under its staging name; the lock says nobody is still at it."""
    for path in folder.glob(f"{STAGING_PREFIX}*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _merge(folder: Path, jobs: Sequence[_Job], seed: int) -> FolderRecord:
    """The folder's record with `jobs` added.

    Raises:
        ConfigError: The folder holds a product of the same name, or any product, made with other parameters.
    """
    advice = "choose another folder or delete this one"
    wanted = {job.name: job.record for job in jobs}
    there = {path.name for path in folder.glob("*.SAFE")}
    path = folder / RECORD
    if not there or not path.exists():
        if there:
            raise ConfigError(f"{folder} holds products that are no samples, {min(there)} for one; {advice}")
        return FolderRecord(code_version=CODE_VERSION, seed=seed, products=wanted)
    try:
        old = FolderRecord.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise ConfigError(f"{path} is not a record of samples ({error.error_count()} errors); {advice}") from error
    if (old.code_version, old.seed) != (CODE_VERSION, seed):
        raise ConfigError(
            f"{folder} holds samples of seed {old.seed}, version {old.code_version}, "
            f"not of seed {seed}, version {CODE_VERSION}; {advice}"
        )
    kept = {name: entry for name, entry in old.products.items() if name in there}
    for name in kept.keys() & wanted.keys():
        if kept[name] != wanted[name]:
            raise ConfigError(
                f"{folder / name} was made with other parameters ({_differences(kept[name], wanted[name])}); {advice}"
            )
    return old.model_copy(update={"products": {**kept, **wanted}})


def _differences(old: ProductRecord, new: ProductRecord) -> str:
    """What differs between two records, in words."""
    fields = [name for name in ProductRecord.model_fields if getattr(old, name) != getattr(new, name)]
    return ", ".join(f"{name} {getattr(old, name)} instead of {getattr(new, name)}" for name in fields)


def _write_land_cover(folder: Path, record: FolderRecord) -> tuple[tuple[Path, ...], bool]:
    """Write the land cover of all windows in the record, unless it is there; says whether anything was written."""
    windows = sorted(
        {Window(parse_tile(p.tile), p.ulx, p.uly, p.size) for p in record.products.values()},
        key=lambda window: (window.tile.name, window.ulx, window.uly),
    )
    sheets = plan_sheets(windows)
    extents = {sheet.name: [sheet.left, sheet.top, sheet.width, sheet.height] for sheet in sheets}
    paths = tuple(folder / LAND_COVER / sheet.name for sheet in sheets)
    if record.land_cover == extents and all(path.is_file() for path in paths):
        return paths, False
    logger.info("land cover: %d windows onto %d files", len(windows), len(sheets))
    truths = [make_truth(window, record.seed) for window in windows]
    for path, sheet in zip(paths, sheets, strict=True):
        path.parent.mkdir(exist_ok=True)
        with staged(path) as staging:
            write_sheet(staging, sheet, truths)
    write_json(folder / RECORD, record.model_copy(update={"land_cover": extents}).model_dump())
    return paths, True
