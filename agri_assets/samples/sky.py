"""Above the ground: the sun, clouds, the shadows they throw, and haze."""

import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from agri_assets.samples.ground import Block
from agri_assets.samples.noise import Doubles, Floats, gradient_noise, octaves, smoothstep, stream

CLOUD_STEP = 4
"""Pixels between the nodes on which clouds are computed."""
CLOUD_CELLS_M = (2700.0, 1150.0, 520.0, 240.0, 110.0)
CLOUD_WEIGHTS = (1.0, 0.62, 0.4, 0.24, 0.14)
CLOUD_BASE_M = 1300.0
"""Height of the clouds above the ground: fair-weather cumulus."""

CLOUDY_LEVEL = -0.30
"""Clouds stand where their field exceeds this; gives about six tenths of cover."""


@dataclass(frozen=True)
class Weather:
    """The sky of one date.

    Attributes:
        seed: Seed of this date's clouds and haze.
        cloudy: True where clouds cover about six tenths.
        haze: Mean haze, as the share of blue light it replaces.
    """

    seed: int
    cloudy: bool
    haze: float


@dataclass(frozen=True)
class Sky:
    """What the atmosphere does to each pixel of a block.

    Attributes:
        cloud: Opacity of clouds, 0 to 1.
        light: Brightness of the cloud tops relative to their mean.
        shadow: Share of direct sunlight that clouds take away, 0 to 1.
        haze: Haze, as the share of blue light it replaces.
    """

    cloud: Floats
    light: Floats
    shadow: Floats
    haze: Floats


def make_sky(block: Block, weather: Weather, sun: tuple[float, float]) -> Sky:
    """The sky over a block, with the sun at zenith and azimuth angles `sun` in degrees."""
    nodes = block.nodes(CLOUD_STEP)
    x, y = nodes.xy
    haze = weather.haze * (1 + 0.35 * gradient_noise(x, y, 7000.0, stream(weather.seed, "haze")))
    haze = np.maximum(haze, 0).astype(np.float32)
    if not weather.cloudy:
        nothing = np.zeros((block.height, block.width), np.float32)
        return Sky(nothing, nothing, nothing, nodes.spread(haze))
    field = _cloud_field(x, y, weather)
    east, north = _towards_sun(sun)
    sunward = _cloud_field(x + 0.12 * east, y + 0.12 * north, weather)
    overhead = _cloud_field(x + east, y + north, weather)
    thickness = smoothstep(field, CLOUDY_LEVEL, CLOUDY_LEVEL + 1.3)
    light = np.clip(0.76 + 0.36 * thickness + 0.22 * (field - sunward), 0.45, 1.35).astype(np.float32)
    return Sky(
        cloud=nodes.spread(smoothstep(field, CLOUDY_LEVEL - 0.12, CLOUDY_LEVEL + 0.34)),
        light=nodes.spread(light),
        shadow=nodes.spread(smoothstep(overhead, CLOUDY_LEVEL - 0.08, CLOUDY_LEVEL + 0.45)),
        haze=nodes.spread(haze),
    )


def _cloud_field(x: Doubles, y: Doubles, weather: Weather) -> Floats:
    return octaves(x, y, CLOUD_CELLS_M, CLOUD_WEIGHTS, stream(weather.seed, "clouds"))


def _towards_sun(sun: tuple[float, float]) -> tuple[float, float]:
    """Metres east and north from a shaded point to the place below the cloud that shades it."""
    zenith, azimuth = (math.radians(angle) for angle in sun)
    reach = CLOUD_BASE_M * math.tan(zenith)
    return reach * math.sin(azimuth), reach * math.cos(azimuth)


def sun_angles(when: datetime, lon: float, lat: float) -> tuple[float, float]:
    """Zenith and azimuth of the sun in degrees, azimuth clockwise from north; good to a tenth of a degree.

    Low-precision solar coordinates of the Astronomical Almanac (US Naval Observatory), referred to J2000.
    """
    days = when.timestamp() / 86_400 - 10_957.5
    anomaly = math.radians((357.529 + 0.985_600_28 * days) % 360)
    mean_longitude = (280.459 + 0.985_647_36 * days) % 360
    ecliptic = math.radians(mean_longitude + 1.915 * math.sin(anomaly) + 0.020 * math.sin(2 * anomaly))
    tilt = math.radians(23.439 - 0.000_000_36 * days)
    ascension = math.atan2(math.cos(tilt) * math.sin(ecliptic), math.cos(ecliptic))
    declination = math.asin(math.sin(tilt) * math.sin(ecliptic))
    sidereal = math.radians((280.460_618 + 360.985_647_37 * days + lon) % 360)
    hour, north = sidereal - ascension, math.radians(lat)
    up = math.sin(north) * math.sin(declination) + math.cos(north) * math.cos(declination) * math.cos(hour)
    east = -math.cos(declination) * math.sin(hour)
    forward = math.sin(declination) * math.cos(north) - math.cos(declination) * math.sin(north) * math.cos(hour)
    return math.degrees(math.acos(max(-1.0, min(1.0, up)))), math.degrees(math.atan2(east, forward)) % 360


def sun_distance_factor(when: datetime) -> float:
    """Inverse square of the distance to the sun in astronomical units, the `U` of the product's metadata."""
    days = when.timestamp() / 86_400 - 10_957.5
    anomaly = math.radians((357.529 + 0.985_600_28 * days) % 360)
    distance = 1.000_14 - 0.016_71 * math.cos(anomaly) - 0.000_14 * math.cos(2 * anomaly)
    return 1 / distance**2
