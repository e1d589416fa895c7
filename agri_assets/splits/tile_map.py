"""What the assigner knows of a tile's positions: one byte each, so that all tiles fit in memory at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agri_assets.splits.settings import ROLES, Role

Mask = NDArray[np.bool_]

ROLE_CODES: dict[Role, int] = {role: code for code, role in enumerate(ROLES, start=1)}
"""What a role is called in maps and masks; 0 is none."""

_ROLE, _OWNED, _USABLE, _DROPPED = 3, 4, 8, 16


@dataclass(frozen=True, eq=False)
class TileMap:
    """Flags of every position of a tile.

    Attributes:
        flags: (rows, columns), uint8; read and set them by the methods.
    """

    flags: NDArray[np.uint8]

    @classmethod
    def empty(cls, shape: tuple[int, int]) -> "TileMap":
        """A map of positions of which nothing is known."""
        return cls(np.zeros(shape, dtype=np.uint8))

    @property
    def role(self) -> NDArray[np.uint8]:
        """Code of the role of each position's cell; 0 where the index has no such position."""
        return self.flags & np.uint8(_ROLE)

    @property
    def owned(self) -> Mask:
        """Positions whose ground is the tile's own."""
        return (self.flags & _OWNED) > 0

    @property
    def dropped(self) -> Mask:
        """Positions that the buffer takes away."""
        return (self.flags & _DROPPED) > 0

    @property
    def candidates(self) -> Mask:
        """Owned positions of which some sample can be used, before the buffer."""
        return self.owned & ((self.flags & _USABLE) > 0)

    @property
    def used(self) -> NDArray[np.uint8]:
        """Code of the role in which each position is used; 0 where it is not."""
        return np.where(self.candidates & ~self.dropped, self.role, 0).astype(np.uint8)

    def places(self, *roles: Role) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """(rows, columns) of the candidates of these roles."""
        row, col = np.nonzero(self.candidates & np.isin(self.role, [ROLE_CODES[role] for role in roles]))
        return row, col

    def set_role(self, row: NDArray[np.int32], col: NDArray[np.int32], code: NDArray[np.uint8]) -> None:
        """Give positions the role of their cell."""
        self.flags[row, col] = self.flags[row, col] & ~np.uint8(_ROLE) | code

    def set_usable(self, row: NDArray[np.int32], col: NDArray[np.int32]) -> None:
        """Note that some sample of these positions can be used."""
        self.flags[row, col] |= np.uint8(_USABLE)

    def set_owned(self, row: NDArray[np.intp], col: NDArray[np.intp]) -> None:
        """Note that the ground of these positions is the tile's own."""
        self.flags[row, col] |= np.uint8(_OWNED)

    def drop(self, row: NDArray[np.intp], col: NDArray[np.intp]) -> None:
        """Take these positions away."""
        self.flags[row, col] |= np.uint8(_DROPPED)
