"""Shares of valid, clear and agricultural pixels of every tile position."""

import numpy as np
import numpy.typing as npt

Fractions = npt.NDArray[np.float32]
"""One value per position, (rows, columns)."""


def share(mask: npt.NDArray[np.bool_], tile_size: int) -> Fractions:
    """Share of true pixels in every whole position of a (height, width) mask."""
    return (count(mask, tile_size) / np.float32(tile_size * tile_size)).astype(np.float32)


def count(mask: npt.NDArray[np.bool_], tile_size: int) -> npt.NDArray[np.int64]:
    """Number of true pixels in every whole position of a (height, width) mask."""
    rows, cols = mask.shape[0] // tile_size, mask.shape[1] // tile_size
    whole = mask[: rows * tile_size, : cols * tile_size].reshape(rows, tile_size, cols, tile_size)
    counted: npt.NDArray[np.int64] = np.count_nonzero(whole, axis=(1, 3))
    return counted
