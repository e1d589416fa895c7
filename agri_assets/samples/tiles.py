"""Where a sample tile lies: the Sentinel-2 grid of an MGRS tile and the window of it that is made."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mgrs import MGRS
from rasterio.warp import transform as warp_transform

from agri_assets.errors import ConfigError

PIXEL_M = 10
"""Side of the finest pixel, in metres."""
FULL_SIZE = 10980
"""Pixels along one side of a whole Sentinel-2 tile at 10 m."""
MIN_SIZE = 96
"""Smallest size offered: 960 m, enough to hold more than one 64 px tile position."""
ALIGN_M = 60
"""Tile origins and windows lie on multiples of this, so that 10, 20 and 60 m pixels nest."""
FALSE_NORTHING = 10_000_000
"""Northing of the equator in the southern UTM zones, in metres."""

_TILE_NAME = re.compile(r"(0[1-9]|[1-5]\d|60)[C-HJ-NP-X][A-HJ-NP-Z][A-HJ-NP-V]")


@dataclass(frozen=True)
class Tile:
    """One MGRS tile on the Sentinel-2 grid.

    Attributes:
        name: MGRS name, e.g. `31TCJ`.
        epsg: EPSG code of its UTM zone.
        ulx: Easting of its western edge, metres.
        uly: Northing of its northern edge, metres.
    """

    name: str
    epsg: int
    ulx: int
    uly: int

    @property
    def zone(self) -> int:
        """UTM zone number, 1 to 60."""
        return self.epsg % 100

    @property
    def south(self) -> bool:
        """True in the southern hemisphere."""
        return self.epsg // 100 == 327

    @property
    def centre(self) -> tuple[float, float]:
        """Longitude and latitude of the tile's middle, degrees."""
        half = FULL_SIZE * PIXEL_M / 2
        return lonlat(self.epsg, self.ulx + half, self.uly - half)


@dataclass(frozen=True)
class Window:
    """The square of a tile that a sample product covers.

    Attributes:
        tile: The tile.
        ulx: Easting of the window's western edge, metres, a multiple of 60.
        uly: Northing of the window's northern edge, metres; on the tile's own 60 m lattice.
        size: Pixels along one side at 10 m, even.
    """

    tile: Tile
    ulx: int
    uly: int
    size: int

    def side(self, resolution: int) -> int:
        """Pixels along one side at `resolution` metres; the last 60 m pixels reach beyond the window if they must."""
        return -(-self.size * PIXEL_M // resolution)

    @property
    def whole(self) -> int:
        """Pixels of 10 m along one side that are made: enough to fill the last pixels of 60 m."""
        return self.side(ALIGN_M) * ALIGN_M // PIXEL_M

    def corners(self, margin_m: float = 0.0) -> list[tuple[float, float]]:
        """Longitude and latitude of its corners: north-west, north-east, south-east, south-west."""
        side = self.size * PIXEL_M + margin_m
        points = [(-margin_m, margin_m), (side, margin_m), (side, -side), (-margin_m, -side)]
        return [lonlat(self.tile.epsg, self.ulx + x, self.uly + y) for x, y in points]


def lonlat(epsg: int, easting: float, northing: float) -> tuple[float, float]:
    """Longitude and latitude in degrees of one UTM position."""
    xs, ys = warp_transform(f"EPSG:{epsg}", "EPSG:4326", [easting], [northing])
    return float(xs[0]), float(ys[0])


def parse_tile(name: str) -> Tile:
    """The Sentinel-2 tile of an MGRS name.

    The origin is that of the 100 km square, moved outwards to the next multiple of 60 m counted from the equator
    (Sentinel-2 Products Specification Document, tiling grid: 31TCJ starts at 300000, 4900020).

    Raises:
        ConfigError: The name is no MGRS 100 km square.
    """
    text = name.strip().upper()
    try:
        if not _TILE_NAME.fullmatch(text):
            raise ValueError(text)
        zone, hemisphere, easting, northing = MGRS().MGRSToUTM(text + "0000000000")
    except Exception as error:  # the mgrs package raises its own kinds, none of them documented
        raise ConfigError(
            f"tile {name!r} is not an MGRS tile such as 31TCJ (zone, band and 100 km square); correct the name"
        ) from error
    south = hemisphere == "S"
    equator = FALSE_NORTHING if south else 0
    # The package computes in floating point; the squares lie on whole metres.
    ulx = math.floor(round(easting) / ALIGN_M) * ALIGN_M
    uly = math.ceil((round(northing) + 100_000 - equator) / ALIGN_M) * ALIGN_M + equator
    return Tile(text, (32700 if south else 32600) + int(zone), ulx, uly)


def check_size(size: int) -> None:
    """Refuse a size that no product can have.

    Raises:
        ConfigError: The size is out of range or odd, so that 20 m pixels would not fit.
    """
    if not MIN_SIZE <= size <= FULL_SIZE or size % 2:
        fitting = min(max(size // 2 * 2, MIN_SIZE), FULL_SIZE)
        raise ConfigError(
            f"size {size} is no sample size: it must be an even number from {MIN_SIZE} to {FULL_SIZE}; try {fitting}"
        )


def place_windows(names: Sequence[str], size: int) -> list[Window]:
    """Windows of `size` pixels, one per tile, each as near as it can be to the middle of all named tiles.

    Neighbours thus get the parts where they overlap, a single tile its centre; at full size the window is the tile.

    Raises:
        ConfigError: No tile, a bad or repeated tile name, or a bad size.
    """
    check_size(size)
    tiles = [parse_tile(name) for name in names]
    if not tiles:
        raise ConfigError("no tile is named; give one or more MGRS tiles such as 31TCJ,31TDJ")
    if len({tile.name for tile in tiles}) < len(tiles):
        raise ConfigError(f"tiles {','.join(names)} name one tile more than once; name each once")
    return [_nearest_window(tile, tiles, size) for tile in tiles]


def _nearest_window(tile: Tile, tiles: Sequence[Tile], size: int) -> Window:
    """The window of `tile` nearest to the common middle of `tiles`."""
    half_tile, half = FULL_SIZE * PIXEL_M / 2, size * PIXEL_M / 2
    east, north = _meeting_point([_in_zone(tile, other) for other in tiles])
    reach = half_tile - half
    dx = min(max(east - (tile.ulx + half_tile), -reach), reach)
    dy = min(max(tile.uly - half_tile - north, -reach), reach)
    col = round((reach + dx) / ALIGN_M) * ALIGN_M
    row = round((reach + dy) / ALIGN_M) * ALIGN_M
    return Window(tile, tile.ulx + col, tile.uly - row, size)


def _meeting_point(middles: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The middle of the ground that tiles with these middles share; where they share none, the mean of the middles."""
    half = FULL_SIZE * PIXEL_M / 2
    point = []
    for values in zip(*middles, strict=True):
        shared = max(values) - min(values) < 2 * half
        point.append((max(values) + min(values)) / 2 if shared else sum(values) / len(values))
    return point[0], point[1]


def _in_zone(tile: Tile, other: Tile) -> tuple[float, float]:
    """The middle of `other` in the coordinates of `tile`'s zone; exact where both share a zone."""
    half = FULL_SIZE * PIXEL_M / 2
    x, y = other.ulx + half, other.uly - half
    if other.epsg == tile.epsg:
        return x, y
    xs, ys = warp_transform(f"EPSG:{other.epsg}", f"EPSG:{tile.epsg}", [x], [y])
    return float(xs[0]), float(ys[0])
