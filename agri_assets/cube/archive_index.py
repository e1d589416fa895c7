"""The tile index of an archive: from its table of samples, its names and its lists, without touching an image."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import geopandas as gpd
import h3
import numpy as np
import numpy.typing as npt
import pandas as pd

from agri_assets.cube.archive_files import ArchiveImage
from agri_assets.cube.archive_ground import FINEST_M, WIDEST_M, Outlines, Place, apart, named_places, outlines
from agri_assets.cube.archive_lists import assign_lists, list_files
from agri_assets.cube.archive_names import NameFacts, read_names
from agri_assets.cube.index import arrange
from agri_assets.errors import ArchiveError
from agri_assets.labels.settings import ClassLabels
from agri_assets.scenes.grid import tile_id
from agri_assets.scenes.settings import ArchiveSource
from agri_assets.splits.settings import ODD, Role
from agri_assets.store.layout import ARCHIVE_TILE

CONTENT = "content"
"""Column of an archive's index that scenes do not have: hash of the pixels, whatever the class."""

TRANSFORM = tuple("abcdef")
"""Columns of a sample's affine coefficients in the table of samples."""


@dataclass(frozen=True)
class ArchiveIndex:
    """The index and what must be said about it.

    Attributes:
        frame: The columns of the tile index and `content`; with `geometry` where any ground is known.
        warnings: Names that the pattern does not match, contradictions.
    """

    frame: pd.DataFrame
    warnings: tuple[str, ...]


def archive_index(
    samples: pd.DataFrame, source: ArchiveSource, labels: ClassLabels, tile_size: int, resolution: int
) -> ArchiveIndex:
    """The tile index of an archive from its table of samples.

    A sample's `cell` is the H3 cell of its centre where that is known (from its file, else from its name), else a hash
    of its group, else the hash of its class and pixels.

    Args:
        samples: The table of samples beside the cube.
        source: The archive.
        labels: Its agricultural classes.
        tile_size: Edge of an image in pixels.
        resolution: Of the H3 cells.

    Raises:
        ArchiveError: A list or an agricultural class names what is not there, or a name tells what cannot be.
    """
    names = [str(name) for name in samples["relative"]]
    roles = listed_roles([_image(name) for name in names], source, labels)
    facts = read_names(names, source, tile_size)
    told = [fact or NameFacts() for fact in facts]
    from_files, from_names = file_places(samples), named_places([fact.place for fact in told], tile_size)
    in_file, by_name = outlines(from_files, names, tile_size), outlines(from_names, names, tile_size)
    ground = _first_known(in_file, by_name)
    label = samples["class_name"].isin(labels.agricultural).astype("int8")
    frame = samples.assign(
        tile=ARCHIVE_TILE,
        tile_id=[tile_id(ARCHIVE_TILE, row, col) for row, col in zip(samples["row"], samples["col"], strict=True)],
        date=pd.Series([fact.date for fact in told], dtype="string"),
        scene_id=ARCHIVE_TILE,
        slot=0,
        valid_fraction=1.0,
        clear_fraction=1.0,
        cropland_fraction=float("nan"),
        purity=float("nan"),
        labelled_fraction=float("nan"),
        label=label,
        ambiguous=False,
        cell=_cells(ground, told, samples["cell"], resolution),
        owner=ARCHIVE_TILE,
        group=pd.Series([fact.group for fact in told], dtype="string"),
        listed=pd.array([roles.get(name) for name in names], dtype="string"),
    )
    warnings = (
        *_unmatched(names, facts, source),
        *_without_size(names, from_files, in_file, "files"),
        *_without_size(names, from_names, by_name, "names"),
        *_odd(names, ground),
        *_contradicted(names, in_file, by_name, tile_size),
        *_opposed(names, samples[CONTENT], label),
    )
    if pd.isna(ground.lon).all():
        return ArchiveIndex(arrange(frame, (CONTENT,)), warnings)
    placed = arrange(frame.assign(geometry=ground.shape), (CONTENT, "geometry"))
    return ArchiveIndex(gpd.GeoDataFrame(placed, geometry="geometry", crs="EPSG:4326"), warnings)


def listed_roles(images: Sequence[ArchiveImage], source: ArchiveSource, labels: ClassLabels) -> dict[str, Role]:
    """The role of every listed image, once lists and agricultural classes are found to fit the archive.

    Raises:
        ArchiveError: A list or an agricultural class names what is not there.
    """
    classes = {image.class_name for image in images}
    if absent := sorted(set(labels.agricultural) - classes):
        known = ", ".join(sorted(classes))
        raise ArchiveError(f"{source.path}: no class folder {absent[0]!r} (labels.agricultural); it has {known}")
    return assign_lists(images, list_files(source))


def file_places(samples: pd.DataFrame) -> list[Place | None]:
    """The pixel grids that georeferenced files told, from the table of samples."""
    rows = samples[["crs", *TRANSFORM]].itertuples(index=False, name=None)
    return [None if pd.isna(crs) else Place(crs, (a, b, c, d, e, f)) for crs, a, b, c, d, e, f in rows]


def _image(name: str) -> ArchiveImage:
    return ArchiveImage(name, name, PurePosixPath(name).parent.name)


def _first_known(one: Outlines, other: Outlines) -> Outlines:
    known = ~np.isnan(one.lon)
    return Outlines(
        np.where(known, one.shape, other.shape),
        np.where(known, one.lon, other.lon),
        np.where(known, one.lat, other.lat),
        np.where(known, one.span, other.span),
    )


def _cells(
    ground: Outlines, facts: Sequence[NameFacts], content: "pd.Series[str]", resolution: int
) -> npt.NDArray[np.object_]:
    cells = content.to_numpy(object, copy=True)
    for row, fact in enumerate(facts):
        if not np.isnan(ground.lon[row]):
            cells[row] = h3.latlng_to_cell(ground.lat[row], ground.lon[row], resolution)
        elif fact.group is not None:
            cells[row] = hashlib.sha256(f"group\0{fact.group}".encode()).hexdigest()
    return cells


def _unmatched(names: Sequence[str], facts: Sequence[NameFacts | None], source: ArchiveSource) -> tuple[str, ...]:
    missed = [name for name, fact in zip(names, facts, strict=True) if fact is None]
    if source.pattern is None or not missed:
        return ()
    return (
        f"source.pattern does not match {len(missed)} of {len(names)} images, the first {min(missed)}: nothing is "
        "known of them by name",
    )


def _without_size(
    names: Sequence[str], places: Sequence[Place | None], found: Outlines, source: str
) -> tuple[str, ...]:
    """Images whose place would have no size, or more than an image can have."""
    lost = [
        name for name, place, lon in zip(names, places, found.lon, strict=True) if place is not None and np.isnan(lon)
    ]
    if not lost:
        return ()
    return (
        f"{len(lost)} images have pixels under {FINEST_M} m or span over {WIDEST_M / 1000:.0f} km by their {source}, "
        f"the first {min(lost)}: where these {source} say they lie is ignored; correct them",
    )


def _odd(names: Sequence[str], ground: Outlines) -> tuple[str, ...]:
    """Images that cover far wider ground than most, by a pixel size or the digits of a name."""
    known = ground.span[~np.isnan(ground.span)]
    middle = float(np.median(known)) if len(known) else 0.0
    odd = sorted((name, span) for name, span in zip(names, ground.span.tolist(), strict=True) if span > ODD * middle)
    if not odd:
        return ()
    first, metres = odd[0]
    return (
        f"{len(odd)} of {len(known)} images cover far wider ground than most, the first {first} with a diagonal of "
        f"{metres:.0f} m (most {middle:.0f} m): near another split they give way; check their pixel size or the digits "
        "of their names",
    )


def _contradicted(names: Sequence[str], in_file: Outlines, by_name: Outlines, tile_size: int) -> tuple[str, ...]:
    """Positions by name that a georeferenced file contradicts by more than the ground that it covers."""
    distance = apart(in_file, by_name)
    wrong = np.flatnonzero(distance > 2 * tile_size * 10.0)
    if not len(wrong):
        return ()
    return (
        f"{len(wrong)} images lie elsewhere than their names say, the first {names[wrong[0]]} by "
        f"{distance[wrong[0]]:.0f} m: the files are believed; check source.pattern",
    )


def _opposed(names: Sequence[str], content: "pd.Series[str]", label: "pd.Series[int]") -> tuple[str, ...]:
    """Images that have the same pixels and opposite labels."""
    frame = pd.DataFrame({"name": names, "content": content.to_numpy(object), "label": label.to_numpy()})
    twins = frame[frame.groupby("content")["label"].transform("nunique") > 1].sort_values("name")
    if twins.empty:
        return ()
    first = twins.iloc[0]
    other = twins[(twins["content"] == first["content"]) & (twins["label"] != first["label"])].iloc[0]
    return (
        f"{len(twins)} images have the pixels of an image of the opposite label, the first pair {first['name']} and "
        f"{other['name']}: one of the two labels is wrong; remove it",
    )
