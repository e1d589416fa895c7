"""Which pixels are clear, by the product's own scene classification (SCL)."""

import numpy as np
from numpy.typing import NDArray

from agri_assets.scenes.settings import CloudSettings

HIGHEST_CLASS = 11
"""SCL classes are 0 to 11 (Sentinel-2 Level-2A algorithm theoretical basis, scene classification)."""

NODATA, SATURATED = 0, 1
"""SCL classes that are not clear but cover no ground beyond their own pixels, and so are never grown."""

Mask = NDArray[np.bool_]


def clear_mask(scl: NDArray[np.uint8], settings: CloudSettings, resolution_m: float) -> Mask:
    """True where the ground is seen.

    Args:
        scl: Classes, shape (height, width).
        settings: Which classes are not clear, and how far clouds and shadows are grown.
        resolution_m: Pixel edge of `scl` in metres.

    Returns:
        Of the shape of `scl`. Values that are no class at all are not clear.
    """
    blocked = np.isin(scl, settings.not_clear) | (scl > HIGHEST_CLASS)
    radius = settings.dilate_m / resolution_m
    if radius >= 1:
        grown = [value for value in settings.not_clear if value not in (NODATA, SATURATED)]
        blocked |= dilate(np.isin(scl, grown), radius)
    return ~blocked


def out_of_range(scl: NDArray[np.uint8]) -> int:
    """How many pixels hold a value that is no SCL class."""
    return int(np.count_nonzero(scl > HIGHEST_CLASS))


def dilate(mask: Mask, radius: float) -> Mask:
    """Grow the true pixels of a mask to all pixels whose centre is within `radius` pixels of theirs."""
    height = mask.shape[0]
    grown = mask.copy()
    for rows in range(-int(radius), int(radius) + 1):
        columns = int(np.sqrt(radius**2 - rows**2))
        wide = _widen(mask, columns)
        source = slice(max(0, -rows), min(height, height - rows))
        target = slice(max(0, rows), min(height, height + rows))
        grown[target] |= wide[source]
    return grown


def _widen(mask: Mask, columns: int) -> Mask:
    """Grow along rows: a pixel is true if any within `columns` of it is (by a running sum)."""
    padded = np.pad(mask, ((0, 0), (columns + 1, columns)))
    sums = np.cumsum(padded, axis=1, dtype=np.int32)
    return (sums[:, 2 * columns + 1 :] - sums[:, : -2 * columns - 1]) > 0
