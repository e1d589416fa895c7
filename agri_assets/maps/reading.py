"""Reading windows shard by shard: each whole and once, with the rim of its neighbours that its windows reach into.

A window is cut from the acquisition of the position that holds its centre, and holds pixels of no other. Where a window
is a position, the tile index tells whether it is usable; others are counted by their own pixels.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from agri_assets.cube.open import CubeInfo, open_array, open_reflectance, read_block, root_of
from agri_assets.cube.schema import CLASSES_ARRAY
from agri_assets.evaluation.predictions import BATCH
from agri_assets.maps.positions import NONE, Chosen
from agri_assets.maps.quicklook import shrunk
from agri_assets.maps.raster import Bytes
from agri_assets.maps.windows import Index, Unit, WindowGrid, shares
from agri_assets.scenes.clouds import clear_mask, valid_mask
from agri_assets.scenes.settings import CloudSettings

Pixels = npt.NDArray[np.uint16]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Rules:
    """Which windows are usable.

    Attributes:
        min_valid: Least share of pixels with data in every band.
        min_clear: Least share of clear pixels.
        clouds: Which pixels are clear.
    """

    min_valid: float
    min_clear: float
    clouds: CloudSettings


@dataclass(frozen=True)
class Piece:
    """Some windows of a unit, ready to be predicted; the last piece of a unit brings its view.

    Attributes:
        unit: The unit.
        pixels: (windows, bands, tile_size, tile_size), uint16.
        row: Row of each window.
        col: Column of each window.
        view: True colours of the unit's positions, (rows, columns, detail, detail, 3); None but in the last piece.
    """

    unit: Unit
    pixels: Pixels
    row: Index
    col: Index
    view: Bytes | None = None


@dataclass(frozen=True)
class _Block:
    """The pixels that a unit's windows lie in.

    Attributes:
        pixels: (bands, height, width) of one slot.
        top: Row of windows that begins at its upper edge.
        left: Column of windows that begins at its left edge.
    """

    pixels: Pixels
    top: int
    left: int


@dataclass(frozen=True)
class WindowReader:
    """Reads the windows of one cube.

    Attributes:
        cube: The cube.
        info: Its description.
        grid: The windows.
        chosen: The acquisition of each position.
        rules: Which windows are usable.
        detail: Pixels along the edge of a position in the view.
    """

    cube: Path
    info: CubeInfo
    grid: WindowGrid
    chosen: Chosen
    rules: Rules
    detail: int

    def planned(self, unit: Unit) -> tuple[Index, Index, npt.NDArray[np.int32]]:
        """Row, column and slot of the unit's windows that may be usable, in order of slot."""
        row, col = (axis.ravel() for axis in np.mgrid[self.grid.part(unit)])
        home = self.grid.home(row), self.grid.home(col)
        slot = self.chosen.slot[home]
        wanted = (slot != NONE) & (self.chosen.usable[home] | ~self.grid.aligned(row, col))
        order = np.flatnonzero(wanted)[np.argsort(slot[wanted], kind="stable")]
        return row[order], col[order], slot[order]

    def pieces(self, units: Iterator[Unit]) -> Iterator[Piece]:
        """The usable windows of some units, in batches, unit by unit."""
        for unit in units:
            yield from self._unit(unit)

    def _unit(self, unit: Unit) -> Iterator[Piece]:
        row, col, slot = self.planned(unit)
        batch, view = _Batch(unit, (len(self.info.bands), *(self.grid.tile_size,) * 2)), self._blank(unit)
        for number in sorted({*slot.tolist(), *np.unique(self.chosen.slot[self.grid.part_positions(unit)]).tolist()}):
            if number == NONE:
                continue
            block, mine = self._block(unit, number), slot == number
            self._look(block, unit, number, view)
            for y, x in self._usable(block, number, row[mine], col[mine]):
                if len(batch) == BATCH:
                    yield batch.piece()
                    batch = batch.fresh()
                batch.add(block, y, x, self.grid)
        yield batch.piece(view)

    def _block(self, unit: Unit, slot: int) -> _Block:
        rows, cols = self.grid.part(unit)
        top, left = unit.row * self.grid.shard * self.grid.overlap, unit.col * self.grid.shard * self.grid.overlap
        positions = self.grid.part_positions(unit)
        ends = (
            max(windows.stop + self.grid.overlap - 1, places.stop * self.grid.overlap) * self.grid.stride
            for windows, places in zip((rows, cols), positions, strict=True)
        )
        y, x = top * self.grid.stride, left * self.grid.stride
        height, width = (end - start for end, start in zip(ends, (y, x), strict=True))
        return _Block(read_block(self._array, slot, y, x, (height, width)), top, left)

    def _usable(self, block: _Block, slot: int, row: Index, col: Index) -> Iterator[tuple[int, int]]:
        """Row and column of those windows in a block that are usable."""
        kept = np.ones(len(row), dtype=bool)
        aligned = self.grid.aligned(row, col)
        if not aligned.all():
            valid, clear = self._masks(block, slot)
            place = row - block.top, col - block.left
            for mask, least in ((valid, self.rules.min_valid), (clear, self.rules.min_clear)):
                kept &= aligned | (shares(mask, self.grid.tile_size, self.grid.stride)[place] >= least)
        return zip(row[kept].tolist(), col[kept].tolist(), strict=True)

    def _masks(self, block: _Block, slot: int) -> tuple[Mask, Mask]:
        """Where a block's pixels are valid, and where they are valid and clear, as the tile index counts them."""
        data = np.asarray((block.pixels > 0).all(axis=0))
        if self._classes is None or self.info.grid is None:
            return data, data
        resolution = self.info.grid.resolution
        halo = math.ceil(self.rules.clouds.dilate_m / resolution)
        y, x = block.top * self.grid.stride, block.left * self.grid.stride
        above, before = min(halo, y), min(halo, x)
        height, width = data.shape
        shape = min(height + halo, self.info.height - y) + above, min(width + halo, self.info.width - x) + before
        classes = read_block(self._classes, slot, y - above, x - before, shape)
        inside = (slice(above, above + height), slice(before, before + width))
        valid = valid_mask(data, classes[inside])
        # a scene without a classification is clear where it is valid
        return valid, valid & clear_mask(classes, self.rules.clouds, resolution)[inside] if classes.any() else valid

    def _blank(self, unit: Unit) -> Bytes:
        rows, cols = (places.stop - places.start for places in self.grid.part_positions(unit))
        return np.zeros((rows, cols, self.detail, self.detail, 3), dtype=np.uint8)

    def _look(self, block: _Block, unit: Unit, slot: int, view: Bytes) -> None:
        """Put the true colours of the positions of one slot into the view of their unit."""
        row, col = np.nonzero(self.chosen.slot[self.grid.part_positions(unit)] == slot)
        if len(row):
            colours = shrunk(block.pixels, self.info.bands, self.info.units, self.grid.tile_size, self.detail)
            view[row, col] = colours[row, col]

    @cached_property
    def _array(self) -> zarr.Array[Any]:
        return open_reflectance(self.cube)

    @cached_property
    def _classes(self) -> zarr.Array[Any] | None:
        there = CLASSES_ARRAY in root_of(self.cube)["consolidated_metadata"]["metadata"]
        return open_array(self.cube, CLASSES_ARRAY) if there else None


class _Batch:
    """Windows as they are put together."""

    def __init__(self, unit: Unit, shape: tuple[int, int, int]) -> None:
        self._unit, self._shape = unit, shape
        self._pixels = np.empty((BATCH, *shape), dtype=np.uint16)
        self._places: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._places)

    def fresh(self) -> "_Batch":
        return _Batch(self._unit, self._shape)

    def add(self, block: _Block, row: int, col: int, grid: WindowGrid) -> None:
        y, x = (row - block.top) * grid.stride, (col - block.left) * grid.stride
        self._pixels[len(self)] = block.pixels[:, y : y + grid.tile_size, x : x + grid.tile_size]
        self._places.append((row, col))

    def piece(self, view: Bytes | None = None) -> Piece:
        place = np.array(self._places, dtype=np.int64).reshape(-1, 2)
        return Piece(self._unit, self._pixels[: len(self)], place[:, 0], place[:, 1], view)
