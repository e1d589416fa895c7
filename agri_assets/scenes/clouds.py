"""Which pixels are valid and clear, by a scene classification in the numbers of the product's own (SCL)."""

from collections.abc import Iterable

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
    blocked = _any_of(scl, settings.not_clear) | (scl > HIGHEST_CLASS)
    radius = settings.dilate_m / resolution_m
    if radius >= 1:
        grown = [value for value in settings.not_clear if value not in (NODATA, SATURATED)]
        blocked |= dilate(_any_of(scl, grown), radius)
    return ~blocked


def valid_mask(data: Mask, scl: NDArray[np.uint8]) -> Mask:
    """True where a pixel can be used at all: it has data in every band, and its class, if any, is one.

    A value beyond the classes says that the classification was damaged or resampled by mixing classes, so nothing is
    known of the pixel: it is neither valid nor clear, and not counted in `valid_fraction`. Its reflectance stays in
    the cube as it is, and its value in the cube's classification. (Six real products that were decimated by an
    interpolating filter hold 8 pixels of class 12 among 5 million, each amidst cirrus, class 10.) Class 0 is a class:
    a pixel with data that was not classified is valid and not clear.

    Args:
        data: Where every band has data, shape (height, width).
        scl: Classes, of the same shape; all 0 where the scene has no classification.
    """
    return data & (scl <= HIGHEST_CLASS)


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


def _any_of(scl: NDArray[np.uint8], values: Iterable[int]) -> Mask:
    """As `np.isin`, in half its time for a few classes of 8 bits."""
    found = np.zeros(scl.shape, dtype=bool)
    for value in values:
        found |= scl == value
    return found


def _widen(mask: Mask, columns: int) -> Mask:
    """Grow along rows: a pixel is true if any within `columns` of it is (by a running sum)."""
    padded = np.pad(mask, ((0, 0), (columns + 1, columns)))
    sums = np.cumsum(padded, axis=1, dtype=np.int32)
    return (sums[:, 2 * columns + 1 :] - sums[:, : -2 * columns - 1]) > 0
