"""Hills, valleys, rivers, lakes, highways and where towns stand: the smooth fields below the pixel pattern."""

from collections.abc import Callable

import numpy as np

from agri_assets.samples.noise import Doubles, Floats, gradient_noise, lattice, octaves, smoothstep, stream, uniform

PROBE_M = 20.0
"""Distance over which slopes are taken, metres."""

Field = Callable[[Doubles, Doubles], Floats]


def slopes(field: Field, x: Doubles, y: Doubles) -> tuple[Floats, Floats, Floats]:
    """A field's value, and its rise per metre eastwards and northwards."""
    here = field(x, y)
    return here, (field(x + PROBE_M, y) - here) / PROBE_M, (field(x, y + PROBE_M) - here) / PROBE_M


def distance_to_zero(field: Field, x: Doubles, y: Doubles) -> Floats:
    """Signed distance in metres to the line where `field` is zero, to first order, at most 500."""
    here, east, north = slopes(field, x, y)
    return np.clip(here / np.maximum(np.hypot(east, north), np.float32(1e-5)), -500, 500)


def river_field(seed: int) -> Field:
    """A field whose zero line is the course of the rivers."""
    return lambda x, y: octaves(x, y, (7400.0, 1900.0, 620.0), (1.0, 0.14, 0.045), stream(seed, "river"))


def highway_field(seed: int) -> Field:
    """A field whose zero line is the course of the main roads."""
    return lambda x, y: octaves(x, y, (17000.0, 5200.0), (1.0, 0.13), stream(seed, "highway"))


def elevation_field(seed: int) -> Field:
    """Height in metres: hills where the country is rugged, valleys along the rivers."""
    river = river_field(seed)

    def height(x: Doubles, y: Doubles) -> Floats:
        rugged = smoothstep(gradient_noise(x, y, 8200.0, stream(seed, "rugged")), -0.9, 1.3)
        hills = 105 * octaves(x, y, (3400.0, 1500.0, 680.0, 330.0), (1.0, 0.48, 0.25, 0.12), stream(seed, "hills"))
        valley = 46 * (1 - np.exp(-np.abs(river(x, y)) * 3))
        return np.asarray(hills * (0.12 + 1.1 * rugged) + valley, dtype=np.float32)

    return height


def wood_field(seed: int) -> Field:
    """Wooded where high."""
    return lambda x, y: octaves(x, y, (3100.0, 1150.0, 430.0, 160.0), (1.0, 0.5, 0.3, 0.16), stream(seed, "wood"))


def lake_field(seed: int) -> Field:
    """Lakes where above zero; shores lie just below."""
    return lambda x, y: octaves(x, y, (2300.0, 800.0, 260.0), (1.0, 0.35, 0.1), stream(seed, "lake")) - np.float32(2.05)


def soil_field(seed: int) -> Field:
    """Patches of better and poorer ground within and across fields."""
    return lambda x, y: octaves(x, y, (640.0, 270.0, 120.0), (1.0, 0.8, 0.6), stream(seed, "soil"))


def town_field(seed: int) -> Field:
    """Metres from the edge of the nearest town or village, negative inside."""
    towns = _settlements(stream(seed, "town"), 5200.0, 0.75, 300.0, 1150.0)
    villages = _settlements(stream(seed, "village"), 2100.0, 0.5, 90.0, 230.0)

    def distance(x: Doubles, y: Doubles) -> Floats:
        ragged = 1 + np.float32(0.3) * gradient_noise(x, y, 420.0, stream(seed, "outskirts"))
        return np.minimum(towns(x, y, ragged), villages(x, y, ragged))

    return distance


def _settlements(
    seed: int, cell: float, share: float, least: float, most: float
) -> Callable[[Doubles, Doubles, Floats], Floats]:
    """Distance to the nearest settlement; they stand in `share` of lattice cells, radii from `least` to `most`."""

    def distance(x: Doubles, y: Doubles, ragged: Floats) -> Floats:
        column, fx = lattice(x, cell)
        row, fy = lattice(y, cell)
        nearest = np.full(x.shape, np.float32(cell))
        for j in (-1, 0, 1):
            for i in (-1, 0, 1):
                cols, rows = column + i, row + j
                dx = fx - i - (uniform(cols, rows, seed + 1) * np.float32(0.6) + np.float32(0.2))
                dy = fy - j - (uniform(cols, rows, seed + 2) * np.float32(0.6) + np.float32(0.2))
                draw = uniform(cols, rows, seed + 3)
                size = np.float32(least) + np.float32(most - least) * (draw / np.float32(share)) ** 2
                edge = np.hypot(dx, dy) * np.float32(cell) - size * ragged
                nearest = np.where(draw < share, np.minimum(nearest, edge), nearest)
        return nearest

    return distance
