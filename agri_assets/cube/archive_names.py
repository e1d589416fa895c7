"""What the names of an archive's images tell of them, by the pattern of the collection."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
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

CHANCE = 5, 2
"""So many angles, and so many times as many as expected, may have lost zeros by chance."""


@dataclass(frozen=True)
class Point:
    """The centre of an image, in degrees; `step` is the unit of the last digit known, by which it may be wrong."""

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
    pattern = re.compile(source.pattern)
    # an empty group tells nothing
    found = [
        {key: text for key, text in match.groupdict().items() if text} if match else {}
        for match in map(pattern.search, names)
    ]
    reader = _Reader({}, tile_size, _Digits.of(found))
    facts: list[NameFacts | None] = []
    for name, texts in zip(names, found, strict=True):
        try:
            facts.append(reader.facts(texts) if texts else None)
        except ValueError as error:
            raise ArchiveError(f"{source.path}: {name}: {error}; correct source.pattern or the name") from None
    if not any(found):
        raise ArchiveError(
            f"{source.path}: source.pattern {source.pattern!r} matches none of {len(names)} images, the first "
            f"{names[0]}; correct it or leave it out"
        )
    return facts


@dataclass(frozen=True)
class _Digits:
    """How many decimals the angles of an archive's names have.

    Attributes:
        common: The commonest number of decimals; of two as common, the larger.
        short: Angles with no more decimals than this are taken at their word; -1 where there are none such.
    """

    common: int
    short: int

    @classmethod
    def of(cls, found: Sequence[Mapping[str, str]]) -> "_Digits":
        """Those of the texts that were found.

        An angle shorter than the common has lost zeros, as one in ten does, and one in a hundred two. Where far more
        than that are so short, it is the names that know no better.
        """
        angles = [texts[key] for texts in found if {"lon", "lat"} <= texts.keys() for key in ("lon", "lat")]
        counts = Counter(_decimals(text) for text in angles)
        common = max(counts, key=lambda decimals: (counts[decimals], decimals), default=0)
        short = -1
        for decimals in range(common):
            lost = len(angles) / 10 ** (common - decimals)
            if sum(count for held, count in counts.items() if held <= decimals) > CHANCE[0] + CHANCE[1] * lost:
                short = decimals
        return cls(common, short)

    def step(self, text: str) -> float:
        """The unit of the last digit that an angle knows, in degrees."""
        decimals = _decimals(text)
        return 10.0 ** -(decimals if decimals <= self.short else self.common)


@dataclass(frozen=True)
class _Reader:
    """Reads what was found; keeps nominal grids by name, for an archive names few tiles, many times each."""

    grids: dict[str, TileGrid]
    tile_size: int
    digits: _Digits

    def facts(self, found: Mapping[str, str]) -> NameFacts:
        number, day = found.get("number"), found.get("date")
        if number is not None and not number.isdecimal():
            raise ValueError(f"`number` {number!r} is not a number")
        return NameFacts(found.get("group"), None if day is None else _day(day), self._place(found))

    def _place(self, found: Mapping[str, str]) -> Point | Cut | None:
        if {"lon", "lat"} <= found.keys():
            step = max(self.digits.step(found["lon"]), self.digits.step(found["lat"]))
            return Point(_degrees("lon", found["lon"], 180), _degrees("lat", found["lat"], 90), step)
        if {"tile", "row", "col"} <= found.keys():
            # products write the tile 33TWL as T33TWL; no tile's own name begins with a letter
            return self._cut(found["tile"].upper().removeprefix("T"), found["row"], found["col"])
        return None

    def _cut(self, tile: str, row: str, col: str) -> Cut:
        rows, cols = self._grid(tile).positions(self.tile_size)
        for name, text, limit in (("row", row, rows), ("col", col, cols)):
            if not text.isdecimal() or int(text) >= limit:
                raise ValueError(
                    f"`{name}` {text!r} is not in tile {tile}, which has {limit} of {self.tile_size} px (from 0)"
                )
        return Cut(tile, int(row), int(col))

    def _grid(self, tile: str) -> TileGrid:
        if tile not in self.grids:
            try:
                self.grids[tile] = nominal_grid(tile, RESOLUTION_M)
            except SceneError as error:
                raise ValueError(f"`tile` {error}") from None
        return self.grids[tile]


def _degrees(name: str, text: str, limit: int) -> float:
    if not NUMBER.fullmatch(text) or abs(float(text)) > limit:
        raise ValueError(f"`{name}` {text!r} is not an angle of -{limit} to {limit} degrees")
    return float(text)


def _decimals(text: str) -> int:
    found = NUMBER.fullmatch(text)
    return len(found["decimals"] or "") if found else 0


def _day(text: str) -> str:
    found = DAY.fullmatch(text)
    try:
        year, month, day = (int(part) for part in found.groups() if part) if found else (0, 0, 0)
        return date(year, month, day).isoformat()
    except ValueError:
        raise ValueError(f"`date` {text!r} is not a day such as 20180721, 2018-07-21 or 20180721T053721") from None
