"""What can cover the ground: the kinds, their land-cover codes, and their rows in a block's spectral table."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

VARIANTS = 8
"""Tones in which each cover that is no parcel occurs."""


class Fixed(IntEnum):
    """Covers that are no parcel; the value is the position in the spectral table."""

    DECIDUOUS = 0
    CONIFER = 1
    WATER = 2
    TURBID = 3
    SHORE = 4
    REEDS = 5
    ASPHALT = 6
    TILE_ROOF = 7
    PALE_ROOF = 8
    GARDEN = 9
    SCRUB = 10


class Use(IntEnum):
    """What a parcel is used for."""

    WHEAT = 0
    BARLEY = 1
    RAPESEED = 2
    MAIZE = 3
    SUNFLOWER = 4
    BEET = 5
    ALFALFA = 6
    FALLOW = 7
    PASTURE = 8
    MEADOW = 9
    VINEYARD = 10
    ROUGH = 11


FIRST_PARCEL = len(Fixed) * VARIANTS
"""Row of the first parcel in a spectral table; the rows before belong to `Fixed`."""

WORLDCOVER_NODATA = 0
TREE, SHRUB, GRASS, CROP, BUILT, BARE, WATER, WETLAND = 10, 20, 30, 40, 50, 60, 80, 90
"""Land-cover codes of ESA WorldCover v200 (Product User Manual 2.0, table 2)."""

FIXED_CODE: NDArray[np.uint8] = np.array(
    [TREE, TREE, WATER, WATER, BARE, WETLAND, BUILT, BUILT, BUILT, GRASS, SHRUB], np.uint8
)
"""Land-cover code of each `Fixed`."""

# WorldCover counts annual crops only; vines are shrubs there.
USE_CODE: NDArray[np.uint8] = np.array([CROP] * 8 + [GRASS, GRASS, SHRUB, GRASS], np.uint8)
"""Land-cover code of each `Use`."""


def fixed_row(cover: Fixed, variant: NDArray[np.uint32]) -> NDArray[np.int32]:
    """Spectral-table row of a fixed cover in the tone that any hash `variant` picks."""
    return (variant % np.uint32(VARIANTS)).astype(np.int32) + np.int32(cover * VARIANTS)
