"""Whether dates of a cube are like what a network was trained on, by figures that were taken when they were built."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from agri_assets.config import Collection
from agri_assets.cube.manifest import BandFigures, manifest_path, read_manifest
from agri_assets.cube.open import cube_info
from agri_assets.objects import each
from agri_assets.splits.summary import read_summary
from agri_assets.store.finding import Finding
from agri_assets.store.layout import CollectionPaths

NAME = "band_histograms"
SHOWN = 6
"""Dates that a finding names."""


class Training(NamedTuple):
    """Statistics of the pixels that a network was trained on, or will be."""

    bands: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


class Shift(NamedTuple):
    """The band of a date that lies furthest from training, and how many standard deviations that is."""

    date: str
    band: str
    distance: float


def cube_shift(collection: Collection, paths: CollectionPaths, tile: str) -> Finding:
    """`band_histograms` of a tile's cube, against the train split that there is.

    Args:
        collection: The collection.
        paths: Where it lies.
        tile: The MGRS tile.
    """
    if not paths.split_summary.exists():
        return Finding(name=NAME, passed=True, found="there is no split yet to compare with")
    split = read_summary(paths)
    return find_shift(collection, paths.cube(tile), Training(split.bands, split.mean, split.std))


def find_shift(collection: Collection, cube: Path, training: Training, dates: Sequence[str] | None = None) -> Finding:
    """Compare dates with training, band by band.

    Args:
        collection: The collection.
        cube: The cube.
        training: What they are compared with.
        dates: Only these; all by default.
    """
    slots = [slot for slot in cube_info(cube).active if dates is None or slot.date in dates]
    manifests = list(each(cube, lambda slot: read_manifest(manifest_path(cube, slot.slot)), slots))
    known = [(str(one.date), one.bands) for one in manifests if one.bands]
    most = collection.limits.band_shift
    if not known or training.bands != tuple(figures.band for figures in known[0][1]):
        return Finding(name=NAME, passed=True, found="no date has figures of these bands to compare")
    shifts = sorted((_shift(date, bands, training) for date, bands in known), key=lambda one: -one.distance)
    far, worst = [one for one in shifts if one.distance > most], shifts[0]
    return Finding.judged(
        NAME,
        not far,
        f"of {len(known)} dates {len(far)} lie outside the training range; furthest is {worst.band} on {worst.date}, "
        f"whose mean is {worst.distance:.2f} standard deviations from that of the train split",
        f"over limits.band_shift ({most:g}) are {_named(far)}: look at their quick-looks and at the radiometric "
        "decision of their scenes in raw_scenes (an offset that is missing or taken off twice shifts all bands); where "
        "they are sound, materialise splits and train again with them",
        furthest=round(worst.distance, 3),
        dates=len(known),
        dates_over_the_limit=len(far),
        dates_without_figures=len(manifests) - len(known),
    )


def _shift(date: str, bands: tuple[BandFigures, ...], training: Training) -> Shift:
    apart = {
        figures.band: abs(figures.mean - mean) / std
        for figures, mean, std in zip(bands, training.mean, training.std, strict=True)
    }
    band = max(apart, key=lambda name: apart[name])
    return Shift(date, band, apart[band])


def _named(far: Sequence[Shift]) -> str:
    more = f" and {len(far) - SHOWN} more" if len(far) > SHOWN else ""
    return ", ".join(f"{one.date} ({one.band} {one.distance:.1f})" for one in far[:SHOWN]) + more
