"""Where an MGRS tile lies by its name alone: the Sentinel-2 tiling grid."""

import math
import re

from agri_assets.errors import SceneError
from agri_assets.scenes.grid import TileGrid

TILE_EDGE_M = 109_800.0
"""Edge of a Sentinel-2 tile: 100 km and an overlap (Sentinel-2 products specification)."""

SNAP_M = 60
"""Corners lie on multiples of the coarsest pixel."""

FALSE_NORTHING_M = 10_000_000.0
SQUARE_M = 100_000.0
COLUMN_SETS = ("STUVWXYZ", "ABCDEFGH", "JKLMNPQR")
ROWS = "ABCDEFGHJKLMNPQRSTUV"
BANDS = "CDEFGHJKLMNPQRSTUVWX"


def nominal_grid(tile: str, resolution: float) -> TileGrid:
    """The grid of a full-size product of a tile.

    The upper-left corner is that of the MGRS 100 km square, moved outwards to a multiple of 60 m counted from the
    equator; this agrees with the published tiling grid.

    Raises:
        SceneError: The name is no MGRS tile.
    """
    named = re.fullmatch(r"([0-9]{1,2})([A-Z])([A-Z])([A-Z])", tile)
    zone, band, column, row = (int(named[1]), named[2], named[3], named[4]) if named else (0, "-", "-", "-")
    columns = COLUMN_SETS[zone % 3]
    if band not in BANDS or column not in columns or row not in ROWS or not 1 <= zone <= 60:
        raise SceneError(f"{tile!r} is not an MGRS tile; expected a name such as 33TWL")
    left = math.floor((columns.index(column) + 1) * SQUARE_M / SNAP_M) * SNAP_M
    top = math.ceil((_square_northing(zone, band, row) + SQUARE_M) / SNAP_M) * SNAP_M
    south = band < "N"
    pixels = round(TILE_EDGE_M / resolution)
    return TileGrid(
        crs=f"EPSG:{(32700 if south else 32600) + zone}",
        transform=(resolution, 0.0, float(left), 0.0, -resolution, top + (FALSE_NORTHING_M if south else 0.0)),
        height=pixels,
        width=pixels,
    )


def _square_northing(zone: int, band: str, row: str) -> float:
    """Southern edge of the 100 km square, metres from the equator (negative in the south).

    Row letters repeat every 2000 km and begin with F in even zones; the latitude band tells which repeat is meant.
    """
    index = (ROWS.index(row) - (5 if zone % 2 == 0 else 0)) % len(ROWS)
    # a degree of latitude is 110.6 to 111.7 km on the ellipsoid: near enough to choose among repeats
    middle = (BANDS.index(band) * 8 - 80 + 4) * 111_000.0
    repeat = len(ROWS) * SQUARE_M
    return index * SQUARE_M + round((middle - (index + 0.5) * SQUARE_M) / repeat) * repeat
