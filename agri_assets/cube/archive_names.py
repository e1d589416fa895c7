"""What the names of an archive's images tell of them, by the pattern of the collection."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from agri_assets.errors import ArchiveError, SceneError
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.settings import ArchiveSource
from agri_assets.scenes.tile_grid import nominal_grid

NUMBER = re.compile(r"[+-]?\d{1,3}(\.(?P<decimals>\d+))?")
DAY = re.compile(r"(\d{4})(?:(\d\d)(\d\d)|-(\d\d)-(\d\d))(?:[T_ ][\d:.]+Z?)?")

RESOLUTION_M = 10.0
"""Pixel edge of tiles whose names tell where they lie: that of Sentinel-2's finest bands."""


@dataclass(frozen=True)
class Point:
    """The centre of an image, in degrees; `step` is the unit of its last digit, by which it may be wrong."""

    lon: float
    lat: float
    step: float


@dataclass(frozen=True)
class Cut:
    """A square of an MGRS tile: the `row`-th and `col`-th, counted from 0 at the tile's upper-left corner."""

    tile: str
    row: int
    col: int


@dataclass(frozen=True)
class NameFacts:
    """What one name tells; None is not known.

    Attributes:
        group: What the image was cut from.
        date: ISO 8601 day.
        place: Where it lies.
    """

    group: str | None = None
    date: str | None = None
    place: Point | Cut | None = None


def read_names(names: Sequence[str], source: ArchiveSource, tile_size: int) -> list[NameFacts | None]:
    """What each name tells by `source.pattern`; None for those that it does not match (all, where there is none).

    Args:
        names: Paths of the images below the folder that all class folders share.
        source: The archive.
        tile_size: Edge of an image in pixels.

    Raises:
        ArchiveError: The pattern matches no name, or finds what cannot be (a month 13, a latitude of 95, no MGRS tile).
    """
    if source.pattern is None:
        return [None] * len(names)
    pattern, grids = re.compile(source.pattern), _Grids({})
    facts: list[NameFacts | None] = []
    for name in names:
        found = pattern.search(name)
        try:
            facts.append(_facts(found.groupdict(), grids, tile_size) if found else None)
        except ValueError as error:
            raise ArchiveError(f"{source.path}: {name}: {error}; correct source.pattern or the name") from None
    if not any(facts):
        raise ArchiveError(
            f"{source.path}: source.pattern {source.pattern!r} matches none of {len(names)} images, the first "
            f"{names[0]}; correct it or leave it out"
        )
    return facts


@dataclass(frozen=True)
class _Grids:
    """Nominal grids by name: an archive names few tiles, many times each."""

    known: dict[str, TileGrid]

    def of(self, tile: str) -> TileGrid:
        if tile not in self.known:
            try:
                self.known[tile] = nominal_grid(tile, RESOLUTION_M)
            except SceneError as error:
                raise ValueError(f"`tile` {error}") from None
        return self.known[tile]


def _facts(found: dict[str, str | None], grids: _Grids, tile_size: int) -> NameFacts:
    number = found.get("number")
    if number is not None and not number.isdecimal():
        raise ValueError(f"`number` {number!r} is not a number")
    day = found.get("date")
    return NameFacts(found.get("group"), None if day is None else _day(day), _place(found, grids, tile_size))


def _place(found: dict[str, str | None], grids: _Grids, tile_size: int) -> Point | Cut | None:
    lon, lat = found.get("lon"), found.get("lat")
    if lon is not None and lat is not None:
        east, north = _degrees("lon", lon, 180), _degrees("lat", lat, 90)
        return Point(east[0], north[0], max(east[1], north[1]))
    tile, row, col = found.get("tile"), found.get("row"), found.get("col")
    if tile is not None and row is not None and col is not None:
        # products write the tile 33TWL as T33TWL; no tile's own name begins with a letter
        return _cut(tile.upper().removeprefix("T"), row, col, grids, tile_size)
    return None


def _cut(tile: str, row: str, col: str, grids: _Grids, tile_size: int) -> Cut:
    rows, cols = grids.of(tile).positions(tile_size)
    for name, text, limit in (("row", row, rows), ("col", col, cols)):
        if not text.isdecimal() or int(text) >= limit:
            raise ValueError(f"`{name}` {text!r} is not in tile {tile}, which has {limit} of {tile_size} px (from 0)")
    return Cut(tile, int(row), int(col))


def _degrees(name: str, text: str, limit: int) -> tuple[float, float]:
    """The angle and the unit of its last digit."""
    found = NUMBER.fullmatch(text)
    if not found or abs(float(text)) > limit:
        raise ValueError(f"`{name}` {text!r} is not an angle of -{limit} to {limit} degrees")
    return float(text), 10.0 ** -len(found["decimals"] or "")


def _day(text: str) -> str:
    found = DAY.fullmatch(text)
    try:
        year, month, day = (int(part) for part in found.groups() if part) if found else (0, 0, 0)
        return date(year, month, day).isoformat()
    except ValueError:
        raise ValueError(f"`date` {text!r} is not a day such as 20180721, 2018-07-21 or 20180721T053721") from None
