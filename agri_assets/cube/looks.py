"""A date thinned to the size of a picture while its shards are in memory: its quick-look, and figures of its bands."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agri_assets.cube.manifest import manifest_folder
from agri_assets.cube.open import cube_info, open_reflectance, read_block
from agri_assets.cube.pictures import stretch, true_colour, write_picture
from agri_assets.cube.schema import CubeInfo

PICTURE_PIXELS = 384
"""Longest edge of a quick-look before it is fitted to the size limit."""

Place = tuple[int, int]
Pixels = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Thinning:
    """Every `step`-th pixel of a cube, in both directions.

    Attributes:
        shape: (height, width) of the cube in pixels.
        step: Pixels of the cube per pixel of the picture.
        bands: Bands of the cube.
    """

    shape: tuple[int, int]
    step: int
    bands: int

    @classmethod
    def of(cls, info: CubeInfo) -> "Thinning":
        """For the pictures of a cube."""
        step = max(1, -(-max(info.height, info.width) // PICTURE_PIXELS))
        return cls((info.height, info.width), step, len(info.bands))

    def part(self, shard: Pixels, y: int, x: int) -> Pixels:
        """A copy of the thinned pixels in the shard (band, height, width) that begins at (y, x)."""
        return shard[(slice(None), *self.inside(y, x))].copy()

    def inside(self, y: int, x: int) -> tuple[slice, slice]:
        """Which rows and columns of a part that begins at (y, x) are kept."""
        return slice(-y % self.step, None, self.step), slice(-x % self.step, None, self.step)

    def join(self, parts: Iterable[tuple[Place, Pixels]]) -> Pixels:
        """The thinned pixels (band, height, width) from their parts by the places of their shards."""
        height, width = self.shape
        look = np.zeros((self.bands, -(-height // self.step), -(-width // self.step)), dtype=np.uint16)
        for (y, x), part in parts:
            top, left = -(-y // self.step), -(-x // self.step)
            look[:, top : top + part.shape[1], left : left + part.shape[2]] = part
        return look


def look_path(cube: Path, slot: int) -> Path:
    """The quick-look of one slot."""
    return manifest_folder(cube) / f"slot-{slot:05d}.png"


def write_look(cube: Path, info: CubeInfo, slot: int, pixels: Pixels) -> None:
    """Keep the true colours of a slot's thinned pixels as a small PNG."""
    write_picture(look_path(cube, slot), stretch(pixels[list(true_colour(info.bands))]))


def require_look(cube: Path, slot: int) -> Path:
    """The quick-look of a slot; made from the cube where it is not there."""
    path = look_path(cube, slot)
    if not path.exists():
        write_look(cube, cube_info(cube), slot, read_look(cube, slot))
    return path


def read_look(cube: Path, slot: int) -> Pixels:
    """The thinned pixels from the cube itself, read shard by shard."""
    info, array = cube_info(cube), open_reflectance(cube)
    thinning = Thinning.of(info)
    return thinning.join(
        ((y, x), thinning.part(read_block(array, slot, y, x, info.shard_shape(y, x)), y, x)) for y, x in info.shards
    )
