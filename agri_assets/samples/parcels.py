"""Estates and the parcels they are cut into: who farms what, where the field edges are, which way the rows run.

Estates are the cells of a jittered lattice (Worley, "A cellular texture basis function", SIGGRAPH 1996). Each has its
own direction; strips of uneven width run along it and are cut across into parcels, as open fields and enclosures are.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agri_assets.samples.covers import Use
from agri_assets.samples.noise import (
    Doubles,
    Floats,
    Words,
    gradient_noise,
    lattice,
    mix,
    octaves,
    stream,
    uniform,
    unit,
)

ESTATE_M = 850.0
"""Mean distance between estates, metres."""
STRIPS, SEGMENTS = 48, 32
"""Most strips across an estate and parcels along a strip; far more than any estate needs."""
FARM_CELLS_M, FARM_WEIGHTS = (4600.0, 1900.0), (1.0, 0.3)
"""Wavelengths of the field that parts farming country from the rest."""
FARM_LEVEL = 0.02
"""Where that field is above this level, land is ploughed."""

CROP_SHARES = {
    Use.WHEAT: 0.27,
    Use.BARLEY: 0.10,
    Use.RAPESEED: 0.09,
    Use.MAIZE: 0.20,
    Use.SUNFLOWER: 0.13,
    Use.BEET: 0.07,
    Use.ALFALFA: 0.05,
    Use.FALLOW: 0.04,
    Use.MEADOW: 0.03,
    Use.VINEYARD: 0.02,
}
"""What farming country grows; about the shares of south-west France's arable land, rounded."""
GRASS_SHARES = {
    Use.PASTURE: 0.56,
    Use.MEADOW: 0.26,
    Use.ROUGH: 0.10,
    Use.ALFALFA: 0.02,
    Use.MAIZE: 0.03,
    Use.WHEAT: 0.03,
}
"""What the rest of the open country is."""


@dataclass(frozen=True)
class Parcels:
    """The parcels that a block touches, one entry each.

    Attributes:
        use: What the parcel is used for (`Use`).
        key: A hash of the parcel's identity, the source of its own random traits.
        arable: True in farming country.
        row_period: Metres between the stripes that machines leave.
    """

    use: NDArray[np.uint8]
    key: Words
    arable: NDArray[np.bool_]
    row_period: Floats


@dataclass(frozen=True)
class ParcelMap:
    """Where the parcels lie; arrays have the block's shape.

    Attributes:
        parcels: The parcels, numbered from 0.
        number: Number of each pixel's parcel.
        across: Metres across the strip, from the estate's middle.
        along: Metres along the strip.
        edge: Metres to the nearest parcel edge, roughly.
        lane: Metres to the nearest estate edge, roughly.
        estate: A hash of each pixel's estate.
    """

    parcels: Parcels
    number: NDArray[np.int32]
    across: Floats
    along: Floats
    edge: Floats
    lane: Floats
    estate: Words


@dataclass(frozen=True)
class _Estates:
    """Table of the estates near a block, flattened; one entry per lattice cell."""

    key: Words
    jitter_x: Floats
    jitter_y: Floats
    arable: NDArray[np.bool_]
    cosine: Floats
    sine: Floats
    strip_m: Floats
    segment_m: Floats


def farm_field(seed: int) -> Callable[[Doubles, Doubles], Floats]:
    """The field that parts farming country, above `FARM_LEVEL`, from the rest."""
    return lambda x, y: octaves(x, y, FARM_CELLS_M, FARM_WEIGHTS, stream(seed, "farmland"))


def map_parcels(x: Doubles, y: Doubles, seed: int) -> ParcelMap:
    """The parcels at plane coordinates `x`, `y` (metres, same shape)."""
    column, fx = lattice(x, ESTATE_M)
    row, fy = lattice(y, ESTATE_M)
    first_col, first_row = int(column.min()) - 1, int(row.min()) - 1
    width = int(column.max()) - first_col + 2
    height = int(row.max()) - first_row + 2
    estates = _make_estates(first_col, first_row, width, height, seed)
    home = ((row - first_row) * width + (column - first_col)).astype(np.int32)
    owner, dx, dy, lane = _nearest(estates, home, fx, fy, width)
    across = estates.cosine[owner] * dx + estates.sine[owner] * dy
    along = estates.cosine[owner] * dy - estates.sine[owner] * dx
    slot, edge = _cut(estates, owner, across, along, seed)
    number, parcels = _compact(estates, slot, seed)
    return ParcelMap(parcels, number, across, along, np.minimum(edge, lane), lane, estates.key[owner])


def _make_estates(first_col: int, first_row: int, width: int, height: int, seed: int) -> _Estates:
    """Traits of the estates of a rectangle of lattice cells."""
    rows, cols = np.mgrid[first_row : first_row + height, first_col : first_col + width]
    cols, rows = cols.ravel(), rows.ravel()
    key = mix(cols, rows, stream(seed, "estate"))
    jitter_x = uniform(cols, rows, stream(seed, "estate-x")) * np.float32(0.84) + np.float32(0.08)
    jitter_y = uniform(cols, rows, stream(seed, "estate-y")) * np.float32(0.84) + np.float32(0.08)
    x, y = (cols + jitter_x) * ESTATE_M, (rows + jitter_y) * ESTATE_M
    arable = farm_field(seed)(x, y) > FARM_LEVEL
    # Neighbouring estates share a main direction, or its perpendicular, give or take a few degrees.
    turn = gradient_noise(x, y, 9000.0, stream(seed, "direction")) * 0.5
    quarter = np.where(uniform(cols, rows, stream(seed, "quarter")) < 0.45, np.float32(np.pi / 2), np.float32(0))
    angle = turn + quarter + (uniform(cols, rows, stream(seed, "tilt")) - 0.5) * np.float32(0.3)
    wide, long = (uniform(cols, rows, stream(seed, name)) for name in ("strip", "segment"))
    strip = np.where(arable, 75 * np.float32(3.6) ** wide, 85 * np.float32(2.8) ** wide)
    segment = np.where(arable, 260 * np.float32(2.6) ** long, 150 * np.float32(3.0) ** long)
    return _Estates(key, jitter_x, jitter_y, arable, np.cos(angle), np.sin(angle), strip, segment)


def _nearest(
    estates: _Estates, home: NDArray[np.int32], fx: Floats, fy: Floats, width: int
) -> tuple[NDArray[np.int32], Floats, Floats, Floats]:
    """Estate nearest to each pixel, metres east and north of its middle, and metres to its border."""
    best = np.full(home.shape, np.float32(np.inf))
    second = best.copy()
    owner = home.copy()
    east, north = np.zeros_like(fx), np.zeros_like(fy)
    for j in (-1, 0, 1):
        for i in (-1, 0, 1):
            cell = home + np.int32(j * width + i)
            dx = fx - (estates.jitter_x[cell] + np.float32(i))
            dy = fy - (estates.jitter_y[cell] + np.float32(j))
            distance = dx * dx + dy * dy
            nearer = distance < best
            np.minimum(second, np.maximum(best, distance), out=second)
            np.minimum(best, distance, out=best)
            np.copyto(owner, cell, where=nearer)
            np.copyto(east, dx, where=nearer)
            np.copyto(north, dy, where=nearer)
    metres = np.float32(ESTATE_M)
    return owner, east * metres, north * metres, (np.sqrt(second) - np.sqrt(best)) * (metres / 2)


def _cut(
    estates: _Estates, owner: NDArray[np.int32], across: Floats, along: Floats, seed: int
) -> tuple[NDArray[np.int32], Floats]:
    """Cut estates into strips and strips into parcels: a slot number per pixel, and metres to the nearest cut."""
    count = estates.key.size
    cuts = unit(mix(estates.key[:, None], np.arange(STRIPS)[None, :], stream(seed, "cuts"))).ravel()
    width = estates.strip_m[owner]
    strip, strip_edge = _part(across / width, owner, STRIPS, cuts)
    lane = owner * np.int32(STRIPS) + strip
    lanes = np.arange(count * STRIPS)
    shift = uniform(lanes % STRIPS, estates.key[lanes // STRIPS], stream(seed, "shift"))
    length = estates.segment_m[owner]
    cross_cuts = unit(
        mix(estates.key[lanes // STRIPS][:, None] + lanes[:, None] % STRIPS, np.arange(SEGMENTS), stream(seed, "cross"))
    ).ravel()
    segment, segment_edge = _part(along / length + shift[lane], lane, SEGMENTS, cross_cuts)
    return lane * np.int32(SEGMENTS) + segment, np.minimum(strip_edge * width, segment_edge * length)


def _part(place: Floats, group: NDArray[np.int32], parts: int, cuts: Floats) -> tuple[NDArray[np.int32], Floats]:
    """Which of `parts` uneven parts each place falls in, and how far the nearest cut is, in units of a mean part."""
    nearest = np.rint(place)
    index = np.clip(nearest.astype(np.int32) + np.int32(parts // 2), 1, parts - 1)
    offset = place - nearest - (cuts[group * np.int32(parts) + index] - np.float32(0.5)) * np.float32(0.6)
    return index - (offset < 0), np.abs(offset)


def _compact(estates: _Estates, slot: NDArray[np.int32], seed: int) -> tuple[NDArray[np.int32], Parcels]:
    """Number the parcels that occur from 0, and draw their traits."""
    present = np.zeros(estates.key.size * STRIPS * SEGMENTS, bool)
    present[slot] = True
    slots = np.flatnonzero(present)
    numbers = np.zeros(present.size, np.int32)
    numbers[slots] = np.arange(slots.size, dtype=np.int32)
    estate = slots // (STRIPS * SEGMENTS)
    key = mix(estates.key[estate], slots % (STRIPS * SEGMENTS), stream(seed, "parcel"))
    arable = estates.arable[estate]
    draw = uniform(key, np.zeros_like(key), stream(seed, "use"))
    use = np.where(arable, _pick(CROP_SHARES, draw), _pick(GRASS_SHARES, draw)).astype(np.uint8)
    period = 21 + 21 * uniform(key, np.zeros_like(key), stream(seed, "rows"))
    return numbers[slot], Parcels(use, key, arable, period)


def _pick(shares: dict[Use, float], draw: Floats) -> NDArray[np.uint8]:
    """The use that each draw in [0, 1) stands for."""
    bounds = np.cumsum(list(shares.values()))
    return np.array(list(shares), np.uint8)[np.minimum(np.searchsorted(bounds, draw), len(shares) - 1)]
