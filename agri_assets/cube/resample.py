"""Coarse bands on the cube's finer grid: nearest, or bilinear that ignores nodata; the same however it is cut up."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from agri_assets.cube.schema import Resampling

Indices = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Axis:
    """Which source pixels make up a run of fine pixels along one axis.

    Attributes:
        first: First fine pixel that the source covers, counted from the start of the run asked for.
        nearest: The source pixel under each covered fine pixel.
        low: The source pixel whose centre lies at or before that fine pixel's centre.
        high: The next one; at the raster's ends both are the same.
        weight: Share of `high`; a function of the fine pixel alone, so that it is the same in every cut.
    """

    first: int
    nearest: Indices
    low: Indices
    high: Indices
    weight: Floats

    @classmethod
    def of(cls, start: int, count: int, factor: float, coarse: int, offset: int = 0) -> "Axis":
        """The fine pixels `start` to `start + count` of the grid, as far as the source covers their centres.

        Args:
            start: First fine pixel.
            count: How many fine pixels.
            factor: Edge of a source pixel, in fine pixels.
            coarse: How many source pixels there are.
            offset: Fine pixel at which the source starts; negative where it starts before the grid.
        """
        # a fine pixel's centre, in source pixels; rounding must not push one on an edge over it
        centres = (np.arange(start, start + count) - offset + 0.5) / factor
        covered = np.flatnonzero((centres >= 0) & (centres < coarse))
        centres = centres[covered]
        below = np.floor(centres - 0.5)
        low = below.astype(np.intp)
        return cls(
            first=int(covered[0]) if len(covered) else 0,
            nearest=centres.astype(np.intp),
            low=np.clip(low, 0, coarse - 1),
            high=np.clip(low + 1, 0, coarse - 1),
            weight=(centres - 0.5 - below).astype(np.float32),
        )

    def __len__(self) -> int:
        return len(self.nearest)

    @property
    def run(self) -> slice:
        """The covered fine pixels, within the run asked for."""
        return slice(self.first, self.first + len(self))

    def span(self, method: Resampling) -> tuple[int, int]:
        """First and end source pixel that the method needs: bilinear looks one further on either side."""
        if method == "nearest":
            return int(self.nearest[0]), int(self.nearest[-1]) + 1
        return int(self.low[0]), int(self.high[-1]) + 1


def resample(source: npt.NDArray[Any], rows: Axis, cols: Axis, method: Resampling) -> npt.NDArray[Any]:
    """Fine pixels from coarse ones.

    Args:
        source: The raster's pixels of both axes' spans for this method; 0 is nodata.
        rows: The fine rows wanted.
        cols: The fine columns wanted.
        method: How; only reflectance, never classes, may be mixed.
    """
    corner = rows.span(method)[0], cols.span(method)[0]
    # columns first: of as many rows as the source has, which then are copied whole
    near = source.take(cols.nearest - corner[1], axis=1).take(rows.nearest - corner[0], axis=0)
    if method == "nearest":
        return near
    mixed = _mix(source.astype(np.float32), rows, cols)
    valid = source != 0
    if not valid.all():
        # the weights of valid pixels alone; 1 to the last bit where all are, so that no cut is told from another
        weights = _mix(valid.astype(np.float32), rows, cols)
        np.divide(mixed, weights, out=mixed, where=weights > 0)
    np.rint(mixed, out=mixed)
    mixed[near == 0] = 0
    return mixed.astype(source.dtype)


def _mix(values: Floats, rows: Axis, cols: Axis) -> Floats:
    """Weighted sums of four neighbours, first down and then across, in single precision."""
    down = _along(values, rows, 0, rows.weight[:, None])
    return _along(down, cols, 1, cols.weight[None, :])


def _along(values: Floats, line: Axis, axis: int, weight: Floats) -> Floats:
    start = line.low[0]
    mixed: Floats = values.take(line.low - start, axis=axis)
    mixed *= 1 - weight
    further: Floats = values.take(line.high - start, axis=axis)
    further *= weight
    mixed += further
    return mixed
