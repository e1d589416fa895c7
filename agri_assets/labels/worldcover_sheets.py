"""Which WorldCover files lie over a tile: on disk, behind an address template, or in a STAC API."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from agri_assets.config import Collection
from agri_assets.errors import LabelError
from agri_assets.labels.degrees import Degrees
from agri_assets.labels.settings import WorldCoverLabels
from agri_assets.labels.worldcover_read import sheet_bounds
from agri_assets.labels.worldcover_stac import item_at, item_map, map_of, search_maps
from agri_assets.remote.address import is_remote, without_signature
from agri_assets.remote.client import client
from agri_assets.remote.signing import signer_for
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.settings import SampleSource
from agri_assets.store.fingerprint import file_stamp, fingerprint
from agri_assets.store.layout import CollectionPaths

TILE_FIELD = "{tile}"
_SUFFIXES = (".tif", ".tiff")
_MAP = re.compile(r"ESA_WorldCover_10m_\d{4}_v\d+_\w+_Map\.tiff?", re.IGNORECASE)
_EDITION = re.compile(r"ESA_WorldCover_10m_(\d{4})_v\d+", re.IGNORECASE)


@dataclass(frozen=True)
class Sheet:
    """One WorldCover file.

    Attributes:
        href: Its path or address.
        sign: How its address is signed.
    """

    href: str
    sign: str = ""

    @property
    def name(self) -> str:
        """Its file name."""
        return PurePosixPath(urlsplit(self.href).path if is_remote(self.href) else self.href).name

    @property
    def edition(self) -> int | None:
        """The year that its name tells."""
        found = _EDITION.search(self.name)
        return int(found.group(1)) if found else None

    @property
    def stamp(self) -> str:
        """What it is: name, size and time on disk, address and size elsewhere."""
        if not is_remote(self.href):
            return file_stamp(Path(self.href))
        return fingerprint(address=without_signature(self.href), size=client().size(self.href, self.sign))

    @property
    def exists(self) -> bool:
        """Whether there is such a file; at another host, only its word that there is none counts as no."""
        return client().exists(self.href, self.sign) if is_remote(self.href) else Path(self.href).is_file()


@dataclass(frozen=True)
class Sheets:
    """WorldCover files over one tile.

    Attributes:
        found: The files; where they overlap, the first one's classes count.
        notes: What people should know about the choice.
    """

    found: tuple[Sheet, ...]
    notes: tuple[str, ...] = ()


def find_sheets(collection: Collection, paths: CollectionPaths, labels: WorldCoverLabels, grid: TileGrid) -> Sheets:
    """The collection's WorldCover files that lie over a tile.

    Raises:
        LabelError: There are none, `labels.path` is not set, or a file is no WorldCover file.
        RemoteError: A host does not answer.
    """
    place, box = cover_place(collection, paths, labels), Degrees.of(grid.crs, grid.bounds)
    if TILE_FIELD in place:
        sheets = _from_template(place, labels, box)
    elif not is_remote(place):
        sheets = _from_disk(Path(place), labels, box)
    elif urlsplit(place).path.lower().endswith(_SUFFIXES):
        sheets = _named([place], labels)
    elif item := item_at(place):
        sheets = _named([map_of(item)], labels)
    else:
        sheets = _signed(search_maps(place, labels, box), labels)
    if not sheets.found:
        shown = without_signature(place) if is_remote(place) else place
        known = "".join(f" ({note})" for note in sheets.notes)
        raise LabelError(f"no WorldCover file in {shown} overlaps it{known}; add the file that covers the tile")
    return sheets


def cover_place(collection: Collection, paths: CollectionPaths, labels: WorldCoverLabels) -> str:
    """Where the collection's WorldCover files are; sample scenes bring their own.

    Raises:
        LabelError: The collection does not say.
    """
    if labels.path is not None:
        return labels.path
    if isinstance(collection.source, SampleSource):
        return str((collection.source.path or paths.sample_scenes) / "land_cover")
    raise LabelError(f"collection {collection.name}: labels have no path; name a WorldCover file or a folder of them")


def _from_template(place: str, labels: WorldCoverLabels, box: Degrees) -> Sheets:
    """The files of the 3 degree tiles under a box; WorldCover has none where a whole tile is sea."""
    sheets = _named([place.replace(TILE_FIELD, name) for name in box.sheets], labels)
    there = tuple(sheet for sheet in sheets.found if sheet.exists)
    absent = ", ".join(sheet.name for sheet in sheets.found if sheet not in there)
    note = (f"there is no {absent}; WorldCover has no file where a whole tile is sea",) if absent else ()
    return Sheets(there, (*sheets.notes, *note))


def _from_disk(place: Path, labels: WorldCoverLabels, box: Degrees) -> Sheets:
    """The files in a folder that lie over a box, in order of path; or one file, or that of a STAC item."""
    if place.is_file():
        named = [item_map(place)] if place.suffix.lower() == ".json" else [str(place)]
        return _over(box, _named(named, labels))
    files = sorted(path for path in place.rglob("*") if path.suffix.lower() in _SUFFIXES) if place.is_dir() else []
    if not files:
        raise LabelError(
            f"{place}: no WorldCover GeoTIFF there; put the files for your tiles in it, or mend labels.path"
        )
    # quality layers and quick-looks of any grid lie beside the maps of a download
    maps = [path for path in files if _MAP.fullmatch(path.name)] or files
    sheets = tuple(Sheet(str(path)) for path in maps)
    wanted = tuple(sheet for sheet in sheets if sheet.edition in (None, labels.year))
    told = {
        "are not named as the maps of WorldCover": len(files) - len(maps),
        f"are not of {labels.year}": len(maps) - len(wanted),
    }
    notes = (f"{left} of {len(files)} files in {place} {why} and were left out" for why, left in told.items() if left)
    return _over(box, Sheets(wanted, tuple(notes)))


def _over(box: Degrees, sheets: Sheets) -> Sheets:
    found = (sheet for sheet in sheets.found if is_remote(sheet.href) or box.meets(sheet_bounds(sheet.href)))
    return Sheets(tuple(found), sheets.notes)


def _named(hrefs: Iterable[str], labels: WorldCoverLabels) -> Sheets:
    """Files that the collection names one by one; of what year they are is then its own choice, and told."""
    sheets = _signed(hrefs, labels)
    years = sorted({sheet.edition for sheet in sheets.found if sheet.edition} - {labels.year})
    notes = tuple(f"labels.path names the edition of {year}; it counts, not year: {labels.year}" for year in years)
    return Sheets(sheets.found, notes)


def _signed(hrefs: Iterable[str], labels: WorldCoverLabels) -> Sheets:
    return Sheets(tuple(Sheet(href, signer_for(href) if labels.sign is None else labels.sign) for href in hrefs))
