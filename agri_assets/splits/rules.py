"""What decides about one sample by itself: the split of its ground cell, and whether it can be used at all."""

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

from agri_assets.splits.settings import Role, SplitSettings

HASH_BITS = 53
"""Bits of the hash that are used: as many as a float holds exactly."""

UNUSABLE = ("nodata", "cloudy", "ambiguous", "no label")
"""Why a sample cannot be used by itself; the first that holds is said."""


def cell_fraction(seed: int, cell: str) -> float:
    """A number in [0, 1) that depends on the seed and the cell's name alone (SHA-256)."""
    digest = hashlib.sha256(f"{seed}:{cell}".encode()).digest()
    return math.ldexp(int.from_bytes(digest[:8], "big") >> (64 - HASH_BITS), -HASH_BITS)


def role_of(fraction: float, val: float, test: float) -> Role:
    """The split of a hash fraction: `test` below `test`, `val` below `test + val`, else `train`."""
    if fraction < test:
        return "test"
    return "val" if fraction < test + val else "train"


def unusable(
    valid: NDArray[np.float32],
    clear: NDArray[np.float32],
    ambiguous: NDArray[np.bool_],
    unlabelled: NDArray[np.bool_],
    settings: SplitSettings,
) -> NDArray[np.int32]:
    """Why each sample cannot be used by itself, as a place in `UNUSABLE`; -1 where it can.

    Args:
        valid: Share of valid pixels, (n,).
        clear: Share of clear pixels, (n,).
        ambiguous: Whether the share of cropland lies between the thresholds, (n,).
        unlabelled: Whether there is no label, (n,).
        settings: The thresholds.
    """
    conditions = [valid < settings.min_valid, clear < settings.min_clear, ambiguous, unlabelled]
    return np.select(conditions, range(len(conditions)), default=-1).astype(np.int32)
