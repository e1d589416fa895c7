"""The quick-look of a date: its true colours thinned to the size of a picture while its shards are in memory."""

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
    """Every `step`-th pixel of a cube in three of its bands.

    Attributes:
        shape: (height, width) of the cube in pixels.
        step: Pixels of the cube per pixel of the picture.
        colours: Numbers of the bands shown as red, green and blue.
    """

    shape: tuple[int, int]
    step: int
    colours: tuple[int, int, int]

    @classmethod
    def of(cls, info: CubeInfo) -> "Thinning":
        """For the pictures of a cube."""
        step = max(1, -(-max(info.height, info.width) // PICTURE_PIXELS))
        return cls((info.height, info.width), step, true_colour(info.bands))

    def part(self, shard: Pixels, y: int, x: int) -> Pixels:
        """A copy of the picture's pixels in the shard (band, height, width) that begins at (y, x)."""
        return shard[list(self.colours), -y % self.step :: self.step, -x % self.step :: self.step].copy()

    def join(self, parts: Iterable[tuple[Place, Pixels]]) -> Pixels:
        """The picture (3, height, width) from its parts by the places of their shards."""
        height, width = self.shape
        look = np.zeros((3, -(-height // self.step), -(-width // self.step)), dtype=np.uint16)
        for (y, x), part in parts:
            top, left = -(-y // self.step), -(-x // self.step)
            look[:, top : top + part.shape[1], left : left + part.shape[2]] = part
        return look


def look_path(cube: Path, slot: int) -> Path:
    """The quick-look of one slot."""
    return manifest_folder(cube) / f"slot-{slot:05d}.png"


def write_look(cube: Path, slot: int, pixels: Pixels) -> None:
    """Keep a slot's quick-look as a small PNG."""
    write_picture(look_path(cube, slot), stretch(pixels))


def require_look(cube: Path, slot: int) -> Path:
    """The quick-look of a slot; made from the cube where it is not there."""
    path = look_path(cube, slot)
    if not path.exists():
        write_look(cube, slot, read_look(cube, slot))
    return path


def read_look(cube: Path, slot: int) -> Pixels:
    """The quick-look's pixels from the cube itself, read shard by shard."""
    info, array = cube_info(cube), open_reflectance(cube)
    thinning = Thinning.of(info)
    return thinning.join(
        ((y, x), thinning.part(read_block(array, slot, y, x, info.shard_shape(y, x)), y, x)) for y, x in info.shards
    )
