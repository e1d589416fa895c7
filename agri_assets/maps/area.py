"""Area from a map and a test sample: counting pixels is biased by the map's errors, which the sample tells.

The stratified estimator of Olofsson et al. (2014), Good practices for estimating area and assessing accuracy of land
change, Remote Sensing of Environment 148, equations 9 to 11.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

NORMAL_95 = 1.959964
"""Half width of a 95 % interval in standard errors."""


@dataclass(frozen=True)
class Area:
    """An estimated area with its 95 % interval, in the unit of the mapped areas."""

    value: float
    low: float
    high: float


def adjusted_areas(confusion: npt.ArrayLike, mapped: npt.ArrayLike) -> list[Area] | None:
    """The area of each class on the ground.

    Args:
        confusion: (classes, classes) counts of test samples by true class (rows) and by what they were called.
        mapped: (classes,) mapped area of each class.

    Returns:
        By class; None where a class that is mapped was called for fewer than two samples, so that nothing is known of
        its errors.
    """
    called, area = np.asarray(confusion, dtype=np.float64).T, np.asarray(mapped, dtype=np.float64)
    samples = called.sum(axis=1)
    if area.sum() == 0 or np.any((samples < 2) & (area > 0)):
        return None
    weight = area / area.sum()
    share = called / np.maximum(samples, 1)[:, None]
    variance = weight[:, None] ** 2 * share * (1 - share) / np.maximum(samples - 1, 1)[:, None]
    value = weight @ share * area.sum()
    reach = NORMAL_95 * np.sqrt(variance.sum(axis=0)) * area.sum()
    whole = float(area.sum())
    return [Area(float(v), max(0.0, float(v - r)), min(whole, float(v + r))) for v, r in zip(value, reach, strict=True)]
