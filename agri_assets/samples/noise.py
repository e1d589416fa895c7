"""Reproducible randomness from positions: integer hashes and gradient noise, the same wherever a block begins.

Nothing here keeps a state: a value depends on its lattice position and a seed alone, so two tiles that cover the same
ground draw the same numbers.
"""

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Words = NDArray[np.uint32]
Ints = NDArray[np.int64]


def stream(seed: int, name: str) -> int:
    """A 32-bit seed for the named use, independent of every other name's."""
    return zlib.crc32(f"{seed}/{name}".encode())


def mix(a: NDArray[Any], b: NDArray[Any], seed: int) -> Words:
    """Hash integer arrays `a` and `b` (broadcast together) to 32 well-mixed bits each.

    The finaliser is the multiply and xor-shift form whose constants C. Wellons found by search ("lowbias32", 2018).
    """
    with np.errstate(over="ignore"):
        h = a.astype(np.uint32) * np.uint32(0x9E3779B1)
        h = h ^ (b.astype(np.uint32) * np.uint32(0x85EBCA77) + np.uint32(seed & 0xFFFFFFFF))
        h ^= h >> np.uint32(16)
        h *= np.uint32(0x7FEB352D)
        h ^= h >> np.uint32(15)
        h *= np.uint32(0x846CA68B)
        h ^= h >> np.uint32(16)
    return h


def unit(words: Words) -> Floats:
    """Words as numbers in [0, 1)."""
    return (words >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def uniform(a: NDArray[Any], b: NDArray[Any], seed: int) -> Floats:
    """A number in [0, 1) for each pair of integers."""
    return unit(mix(a, b, seed))


def normal(a: NDArray[Any], b: NDArray[Any], seed: int) -> Floats:
    """An approximately standard normal number for each pair of integers: the scaled sum of the hash's four bytes."""
    h = mix(a, b, seed)
    pairs = (h & np.uint32(0x00FF00FF)) + ((h >> np.uint32(8)) & np.uint32(0x00FF00FF))
    total = (pairs & np.uint32(0xFFFF)) + (pairs >> np.uint32(16))
    return (total.astype(np.float32) - np.float32(510.0)) * np.float32(1 / 147.8)


def lattice(values: Doubles, cell: float) -> tuple[Ints, Floats]:
    """Cell number and the place within the cell, in [0, 1), of each coordinate."""
    scaled = values / cell
    whole = np.floor(scaled)
    return whole.astype(np.int64), (scaled - whole).astype(np.float32)


def gradient_noise(x: Doubles, y: Doubles, cell: float, seed: int) -> Floats:
    """Perlin's gradient noise ("Improving noise", SIGGRAPH 2002) with a lattice of `cell` metres.

    Returns:
        Values of standard deviation near 1, shape of `x`; features are about half a cell to a cell across.
    """
    ix, fx = lattice(x, cell)
    iy, fy = lattice(y, cell)
    sx, sy = (f * f * f * (f * (f * 6 - 15) + 10) for f in (fx, fy))
    rows = []
    for j in (0, 1):
        ends = []
        for i in (0, 1):
            angle = uniform(ix + i, iy + j, seed) * np.float32(2 * np.pi)
            ends.append(np.cos(angle) * (fx - i) + np.sin(angle) * (fy - j))
        rows.append(ends[0] + sx * (ends[1] - ends[0]))
    # 0.255 is the standard deviation of unit-gradient Perlin noise, measured over 10^6 points.
    return np.asarray((rows[0] + sy * (rows[1] - rows[0])) * np.float32(1 / 0.255), dtype=np.float32)


def octaves(x: Doubles, y: Doubles, cells: tuple[float, ...], weights: tuple[float, ...], seed: int) -> Floats:
    """A weighted sum of gradient noises, scaled back to a standard deviation near 1."""
    total = np.zeros(np.broadcast(x, y).shape, np.float32)
    for number, (cell, weight) in enumerate(zip(cells, weights, strict=True)):
        total += np.float32(weight) * gradient_noise(x, y, cell, seed + 7919 * number)
    return total * np.float32(1 / np.sqrt(np.sum(np.square(weights))))


def smoothstep(values: Floats, low: float, high: float) -> Floats:
    """0 below `low`, 1 above `high`, a smooth rise between."""
    t = np.clip((values - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)
