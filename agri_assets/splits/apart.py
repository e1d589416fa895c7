"""Whether the used ground of a tile is its own, and how near splits come to one another there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from agri_assets.errors import SplitError
from agri_assets.scenes.grid import tile_id
from agri_assets.splits.ground import Floats, Shapes
from agri_assets.splits.settings import PAIRS

SCALE_TOLERANCE = 0.002
"""Relative. The assigner measures in UTM, whose scale is 0.9996 to 1.0013 within and just beside a zone."""

EDGE_TOLERANCE_M = 1.0
"""A centre this near the edge of a tile may count as inside or outside it."""

LOOK = 2
"""Diagonals within which distances are measured."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Ground:
    """Distinct positions of one tile that are used, on the ground.

    Attributes:
        tile: The tile.
        row: Row of each position in the tile.
        col: Its column.
        owner: Nominal MGRS tile of its centre.
        split: Its split.
        shape: Its footprint, longitude and latitude.
    """

    tile: str
    row: NDArray[np.int32]
    col: NDArray[np.int32]
    owner: NDArray[np.object_]
    split: NDArray[np.object_]
    shape: Shapes

    def __len__(self) -> int:
        return len(self.row)

    def name(self, place: int) -> str:
        """What a position is called."""
        return tile_id(self.tile, int(self.row[place]), int(self.col[place]))

    def take(self, which: Mask) -> "Ground":
        """Some of them."""
        row, col, owner, split = (self.row[which], self.col[which], self.owner[which], self.split[which])
        return Ground(self.tile, row, col, owner, split, self.shape[which])

    @classmethod
    def empty(cls, tile: str) -> "Ground":
        """No positions."""
        number, text = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=object)
        return cls(tile, number, number, text, text, text)

    @classmethod
    def together(cls, parts: Sequence["Ground"]) -> "Ground":
        """The positions of several parts of one tile."""
        columns = zip(*((part.row, part.col, part.owner, part.split, part.shape) for part in parts), strict=True)
        return cls(parts[0].tile, *(np.concatenate(column) for column in columns))


@dataclass(frozen=True)
class Packed:
    """Positions that wait for another tile's turn: a quarter of the memory that their footprints take."""

    ground: Ground
    wkb: pa.BinaryArray

    @classmethod
    def of(cls, ground: Ground) -> "Packed":
        """The same as bytes."""
        return cls(replace(ground, shape=ground.shape[:0]), pa.array(shapely.to_wkb(ground.shape), pa.binary()))

    def unpacked(self) -> Ground:
        """The positions."""
        return replace(self.ground, shape=shapely.from_wkb(self.wkb.to_numpy(zero_copy_only=False)))


Placed = tuple[Ground, Shapes]
"""Positions, and their footprints on a plane, in metres."""


def reached(flat: Shapes, area: shapely.Geometry, reach_m: float) -> Mask:
    """Which footprints may lie within reach of an area on their plane: by the box around it."""
    left, bottom, right, top = shapely.bounds(area) + np.array([-reach_m, -reach_m, reach_m, reach_m])
    boxes = shapely.bounds(flat)
    beside = (boxes[:, 0] > right) | (boxes[:, 2] < left) | (boxes[:, 1] > top) | (boxes[:, 3] < bottom)
    return np.asarray(~beside)


def measure(ground: Ground, flat: Shapes, others: Sequence[Placed], diagonal_m: float) -> dict[str, float]:
    """Least distance of each pair of roles among the positions of a tile, and between them and others.

    Args:
        ground: The positions of the tile.
        flat: Their footprints on its plane.
        others: Positions of other tiles near it, on its plane.
        diagonal_m: The least allowed distance.

    Returns:
        Metres per pair, such as `train/test`; only where it is within two diagonals.

    Raises:
        SplitError: Two splits come nearer than one diagonal.
    """
    parts = [(ground, flat), *others]
    shapes = np.concatenate([placed for _, placed in parts])
    split = np.concatenate([part.split for part, _ in parts])
    least: dict[str, float] = {}
    for one, other in PAIRS:
        first, second = np.flatnonzero(split == one), np.flatnonzero(split == other)
        tree = shapely.STRtree(shapes[second])
        near = tree.query(shapes[first], predicate="dwithin", distance=LOOK * diagonal_m)
        left, right = first[near[0]], second[near[1]]
        # what others are from one another is measured where it is their own tiles' turn
        local = (left < len(ground)) | (right < len(ground))
        if not local.any():
            continue
        left, right = left[local], right[local]
        distances = shapely.distance(shapes[left], shapes[right])
        worst = int(np.argmin(distances))
        least[f"{one}/{other}"] = metres = float(distances[worst])
        if metres < diagonal_m * (1 - SCALE_TOLERANCE):
            a, b = (_name(parts, int(places[worst])) for places in (left, right))
            raise SplitError(
                f"{one} sample {a} is {metres:.0f} m from {other} sample {b}, nearer than one tile diagonal "
                f"({diagonal_m:.0f} m); materialise splits again"
            )
    return least


def prove_owner(ground: Ground, flat: Shapes, areas: Mapping[str, shapely.Geometry]) -> None:
    """Check that no tile with a better claim covers the centres of a tile's positions.

    Args:
        ground: The positions of the tile.
        flat: Their footprints on its plane.
        areas: On that plane, all ground of each other tile near it.

    Raises:
        SplitError: One does.
    """
    centre = shapely.centroid(flat)
    x, y = shapely.get_x(centre), shapely.get_y(centre)
    covered = {other: _surely_covered(x, y, area) for other, area in areas.items()}
    # a nominal owner that covers a centre beats all; where there is none, a name before ours would
    for other, inside in covered.items():
        nominal = ground.owner == other
        first = (ground.owner != ground.tile) & (other < ground.tile)
        for third, also in covered.items():
            first &= ~((ground.owner == third) & also)
        wrong = inside & (nominal | first)
        if wrong.any():
            name = ground.name(int(np.argmax(wrong)))
            raise SplitError(f"sample {name} lies on ground that tile {other} owns; materialise splits again")


def _surely_covered(x: Floats, y: Floats, area: shapely.Geometry) -> Mask:
    """Which points are covered together with a small cross around them, so that rounding at edges cannot matter."""
    left, bottom, right, top = shapely.bounds(area)
    inside = np.asarray((x > left) & (x < right) & (y > bottom) & (y < top))
    shapely.prepare(area)
    for dx, dy in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        rows = np.flatnonzero(inside)
        inside[rows] = shapely.intersects_xy(area, x[rows] + dx * EDGE_TOLERANCE_M, y[rows] + dy * EDGE_TOLERANCE_M)
    return inside


def _name(parts: Sequence[Placed], place: int) -> str:
    """What a position of several parts is called."""
    for part, _ in parts:
        if place < len(part):
            return part.name(place)
        place -= len(part)
    raise IndexError(place)
