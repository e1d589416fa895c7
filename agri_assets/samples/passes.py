"""When Sentinel-2 passes over: acquisition times, orbit numbers and product names that fit the real orbit."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agri_assets.samples.noise import stream
from agri_assets.samples.sky import Weather, sun_angles
from agri_assets.samples.tiles import Tile

BASELINE = "05.09"
"""Processing baseline of the products."""
ORBITS_PER_CYCLE, CYCLE = 143, timedelta(days=10)
"""One satellite repeats its ground track after 143 orbits in 10 days (Sentinel-2 User Handbook)."""
PERIOD = CYCLE / ORBITS_PER_CYCLE
INCLINATION = math.radians(98.62)
NODE_LOCAL_HOUR = 10.5
"""Mean local solar time at which the equator is crossed southwards."""
SPACING = timedelta(days=25)
"""Days between dates; an odd number of half cycles, so that the two satellites take turns on one track."""

_A_ORBIT, _A_TIME, _A_LAT = 42640, datetime(2023, 8, 21, 22, 20, 46, tzinfo=UTC), -16.75
_B_ORBIT, _B_TIME = 20270, datetime(2021, 1, 22, 13, 36, tzinfo=UTC)
# Orbits of real products, 01KAB of 2023-08-21 and 22HBD of 2021-01-22; later ones are counted from them.
_A_FIRST, _B_FIRST = 140, 26
# Absolute orbit of each satellite before its relative orbit 1, so that relative = (absolute - first) mod 143.


@dataclass(frozen=True)
class Pass:
    """One overflight, and the weather it meets.

    Attributes:
        spacecraft: `S2A` or `S2B`.
        start: Start of the datatake, UTC.
        node: Time at which this orbit crosses the equator southwards, UTC.
        absolute_orbit: Orbit number since launch.
        relative_orbit: Number of the ground track, 1 to 143.
        weather: Clouds and haze.
        sun: Zenith and azimuth of the sun in degrees at the middle of the zone and latitude band; shading and cloud
            shadows use it for every tile, so that neighbours agree.
        season: Day of the northern year that the plants live in.
        damaged: True where one of the product's images is to be broken.
    """

    spacecraft: str
    start: datetime
    node: datetime
    absolute_orbit: int
    relative_orbit: int
    weather: Weather
    sun: tuple[float, float]
    season: float
    damaged: bool

    def sensed(self, tile: Tile) -> datetime:
        """When the middle of a tile was seen."""
        return self.node - PERIOD * _phase(tile.centre[1])

    @property
    def generated(self) -> datetime:
        """When the product was, as its name says, processed."""
        return self.start + timedelta(hours=4, minutes=8, seconds=20)

    def product_name(self, tile: Tile) -> str:
        """Name of the product of a tile, with its `.SAFE`."""
        return (
            f"{self.spacecraft}_MSIL2A_{compact(self.start)}_N{BASELINE.replace('.', '')}_R{self.relative_orbit:03d}"
            f"_T{tile.name}_{compact(self.generated)}.SAFE"
        )

    def granule_name(self, tile: Tile) -> str:
        """Name of the granule folder of a tile."""
        return f"L2A_T{tile.name}_A{self.absolute_orbit:06d}_{compact(self.sensed(tile))}"


def compact(when: datetime) -> str:
    """A time as product names spell it: `20230608T105031`."""
    return when.strftime("%Y%m%dT%H%M%S")


def plan_passes(tiles: Sequence[Tile], dates: int, cloudy_dates: int, damaged: int, seed: int) -> list[Pass]:
    """The passes over `tiles`: `dates` of them, the last `cloudy_dates` cloudy, then `damaged` more.

    All dates lie on one ground track, that which passes nearest to the middle of the first tile's UTM zone.
    """
    zone, south = tiles[0].zone, tiles[0].south
    lon, lat = zone * 6 - 183.0, math.floor(tiles[0].centre[1] / 8) * 8 + 4.0
    first = _first_visit(datetime(2022, 12, 7, tzinfo=UTC) if south else datetime(2023, 6, 8, tzinfo=UTC), lon, lat)
    passes = []
    for number in range(dates + damaged):
        seen = first + SPACING * number
        cloudy = dates - cloudy_dates <= number < dates
        weather = Weather(stream(seed, f"sky/{seen:%Y-%m-%d}"), cloudy, 0.16 if cloudy else 0.03)
        season = (seen.timetuple().tm_yday + (182.5 if south else 0)) % 365
        node = seen + PERIOD * _phase(lat)
        spacecraft = "S2A" if number % 2 == 0 else "S2B"
        absolute, relative = _orbits(spacecraft, node, first + PERIOD * _phase(lat))
        start = (seen - timedelta(minutes=6)).replace(microsecond=24_000)
        sun = sun_angles(seen, lon, lat)
        passes.append(Pass(spacecraft, start, node, absolute, relative, weather, sun, season, number >= dates))
    return passes


def _phase(lat: float) -> float:
    """Part of an orbit between a latitude and the southward crossing of the equator, positive in the north."""
    reach = math.sin(math.radians(lat)) / math.sin(INCLINATION)
    return math.asin(max(-1.0, min(1.0, reach))) / (2 * math.pi)


def _solar_hour(lat: float) -> float:
    """Mean local solar time, in hours, at which a latitude is crossed southwards."""
    lead = math.tan(math.radians(lat)) / math.tan(INCLINATION)
    return NODE_LOCAL_HOUR - math.degrees(math.asin(max(-1.0, min(1.0, lead)))) / 15


def _first_visit(earliest: datetime, lon: float, lat: float) -> datetime:
    """The time, in the ten days from `earliest`, at which Sentinel-2A passes nearest to a place."""
    visits = [earliest + timedelta(days=day, hours=(_solar_hour(lat) - lon / 15) % 24) for day in range(CYCLE.days)]
    return min(visits, key=lambda seen: abs(_orbit_at(seen, lat) - round(_orbit_at(seen, lat))))


def _orbit_at(seen: datetime, lat: float) -> float:
    """Sentinel-2A's orbit number, with its fraction, counted between crossings of the equator."""
    since = (seen + PERIOD * _phase(lat)) - (_A_TIME + PERIOD * _phase(_A_LAT))
    return _A_ORBIT + since / PERIOD


def _orbits(spacecraft: str, node: datetime, first_node: datetime) -> tuple[int, int]:
    """Absolute and relative orbit of a satellite; Sentinel-2B flies five days behind on the same tracks."""
    origin = _A_TIME + PERIOD * _phase(_A_LAT)
    relative = (round(_A_ORBIT + (first_node - origin) / PERIOD) - _A_FIRST - 1) % ORBITS_PER_CYCLE + 1
    if spacecraft == "S2A":
        return round(_A_ORBIT + (node - origin) / PERIOD), relative
    about = round(_B_ORBIT + (node - _B_TIME) / PERIOD)
    drift = (relative - (about - _B_FIRST) + ORBITS_PER_CYCLE // 2) % ORBITS_PER_CYCLE - ORBITS_PER_CYCLE // 2
    return about + drift, relative
