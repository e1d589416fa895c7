"""Reflectance of every cover in every band, by day of the year.

The spectra are surface reflectances at the centres of Sentinel-2's bands, rounded. They are typical values for
published measurements of the same materials: green vegetation, sand and lake water of the 6S model (Vermote et al.
1997, IEEE TGRS 35, 675); soils, dry plants, asphalt, concrete and tiles of the USGS Spectral Library Version 7 (Kokaly
et al. 2017, doi:10.3133/ds1035) and the ECOSTRESS library (Meerdink et al. 2019, doi:10.1016/j.rse.2019.05.015). Each
stands for a material seen from above at 10 m and darkened by its own shadows, not for one library record.
"""

from dataclasses import dataclass

import numpy as np

from agri_assets.samples.covers import VARIANTS, Fixed, Use
from agri_assets.samples.noise import Floats, uniform
from agri_assets.samples.parcels import Parcels

BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
"""Order of bands in every table here."""


def _spectrum(*percent: float) -> Floats:
    return np.array(percent, np.float32) / np.float32(100)


GREEN_CROP = _spectrum(2.4, 3.3, 7.0, 3.3, 11.5, 33, 43, 45.5, 47.5, 47, 20.5, 9.5)
BROADLEAF_CROP = _spectrum(2.6, 3.7, 8.6, 3.8, 13.5, 37, 47, 49.5, 51.5, 50.5, 23.5, 11.5)
GRASS = _spectrum(2.9, 4.2, 8.0, 5.0, 12.5, 28, 34.5, 36.5, 38.5, 38, 23.5, 12.5)
DRY_PLANTS = _spectrum(5.5, 8.0, 12.5, 16.5, 20.5, 24, 26.5, 29, 31.5, 32.5, 36, 26)
STUBBLE = _spectrum(7.0, 10.0, 14.5, 18.5, 21.5, 23.5, 25.5, 27.5, 29.5, 30.5, 36.5, 29.5)
DARK_SOIL = _spectrum(4.6, 6.2, 8.6, 11.2, 13.0, 14.4, 15.8, 17.2, 18.6, 19.2, 25.5, 22.5)
PALE_SOIL = _spectrum(9.0, 12.5, 17.0, 21.8, 24.2, 26.0, 27.6, 29.4, 31.0, 31.4, 39.0, 35.0)

FIXED_SPECTRA: dict[Fixed, Floats] = {
    Fixed.DECIDUOUS: _spectrum(1.8, 2.4, 4.8, 2.6, 8.2, 24.5, 32, 34.5, 36.5, 36.5, 16.5, 7.2),
    Fixed.CONIFER: _spectrum(1.6, 2.0, 3.4, 2.2, 5.4, 13.6, 16.8, 18.4, 19.6, 19.8, 9.6, 4.5),
    Fixed.WATER: _spectrum(2.6, 2.8, 2.8, 1.7, 1.3, 1.0, 0.9, 0.8, 0.7, 0.6, 0.35, 0.25),
    Fixed.TURBID: _spectrum(3.8, 4.8, 6.4, 4.9, 4.0, 2.4, 2.3, 1.9, 1.6, 1.3, 0.6, 0.4),
    Fixed.SHORE: _spectrum(10.5, 13.5, 17.5, 20.5, 22.0, 23.5, 24.8, 26.0, 27.0, 26.5, 31.0, 27.0),
    Fixed.REEDS: _spectrum(2.8, 3.9, 6.2, 4.8, 9.6, 19.5, 24, 25.5, 26.5, 26, 15.5, 8.0),
    Fixed.ASPHALT: _spectrum(7.4, 8.6, 9.9, 10.8, 11.5, 12.1, 12.8, 13.6, 14.2, 14.4, 16.8, 15.6),
    Fixed.TILE_ROOF: _spectrum(6.4, 8.0, 10.6, 14.6, 16.8, 18.6, 20.0, 21.4, 22.4, 22.6, 27.0, 24.0),
    Fixed.PALE_ROOF: _spectrum(12.5, 14.6, 16.4, 17.8, 18.8, 19.8, 20.6, 21.6, 22.2, 22.4, 25.0, 23.0),
    Fixed.GARDEN: _spectrum(3.6, 4.8, 7.6, 6.4, 12.0, 23.5, 28.5, 30.0, 31.5, 31.5, 20.5, 12.5),
    Fixed.SCRUB: _spectrum(2.4, 3.4, 6.2, 4.2, 10.0, 22.5, 28, 30, 32, 32, 19.5, 10.5),
}
"""Spectrum of each cover that is no parcel."""

FIXED_GRAIN: dict[Fixed, tuple[float, float]] = {
    Fixed.DECIDUOUS: (0.085, 0.05),
    Fixed.CONIFER: (0.09, 0.05),
    Fixed.WATER: (0.015, 0.04),
    Fixed.TURBID: (0.02, 0.05),
    Fixed.SHORE: (0.06, 0.05),
    Fixed.REEDS: (0.07, 0.06),
    Fixed.ASPHALT: (0.08, 0.02),
    Fixed.TILE_ROOF: (0.12, 0.02),
    Fixed.PALE_ROOF: (0.14, 0.02),
    Fixed.GARDEN: (0.11, 0.05),
    Fixed.SCRUB: (0.09, 0.06),
}
"""Relative brightness variation from pixel to pixel, and over some hundred metres."""


@dataclass(frozen=True)
class _Season:
    """A crop's year in northern days: leaves come from `sprout` to `full`, yellow from `ripen` to `harvest`."""

    sprout: float
    full: float
    ripen: float
    harvest: float
    cover: float
    leaf: Floats


_SEASONS: dict[Use, _Season] = {
    Use.WHEAT: _Season(40, 118, 158, 192, 0.95, GREEN_CROP),
    Use.BARLEY: _Season(38, 108, 144, 176, 0.92, GREEN_CROP),
    Use.RAPESEED: _Season(20, 90, 152, 184, 0.94, BROADLEAF_CROP),
    Use.MAIZE: _Season(138, 200, 240, 282, 0.93, BROADLEAF_CROP),
    Use.SUNFLOWER: _Season(128, 190, 212, 248, 0.86, BROADLEAF_CROP),
    Use.BEET: _Season(122, 182, 268, 298, 0.94, BROADLEAF_CROP),
}
"""Calendars of temperate Europe, after the crop calendars of the JRC MARS bulletins, rounded."""


@dataclass(frozen=True)
class SpectralTable:
    """What a block's table rows look like on one day; rows first `Fixed` in their tones, then the parcels.

    Attributes:
        mean: Reflectance, shape (bands, rows).
        vigour: Change of reflectance for one unit of vigour, shape (bands, rows).
        stripe: Change of reflectance at the crest of a machine stripe, as a share of `vigour`, shape (rows).
        grain: Relative brightness variation from pixel to pixel, shape (rows).
    """

    mean: Floats
    vigour: Floats
    stripe: Floats
    grain: Floats


def make_table(parcels: Parcels, day: float) -> SpectralTable:
    """The spectral table of a block's parcels on `day` of the northern year (1 to 366)."""
    fixed_mean, fixed_vigour, fixed_grain = _fixed_rows()
    mean, vigour, stripe, grain = _parcel_rows(parcels, day)
    return SpectralTable(
        mean=np.concatenate([fixed_mean, mean], axis=1),
        vigour=np.concatenate([fixed_vigour, vigour], axis=1),
        stripe=np.concatenate([np.zeros_like(fixed_grain), stripe]),
        grain=np.concatenate([fixed_grain, grain]),
    )


def _fixed_rows() -> tuple[Floats, Floats, Floats]:
    """Mean, vigour and grain of the fixed covers, each in its tones."""
    tones = np.linspace(-1, 1, VARIANTS, dtype=np.float32)
    means, vigours, grains = [], [], []
    for cover in Fixed:
        grain, patch = FIXED_GRAIN[cover]
        spectrum = FIXED_SPECTRA[cover][:, None]
        means.append(spectrum * (1 + np.float32(grain) * tones))
        vigours.append(np.broadcast_to(spectrum * np.float32(patch), (len(BANDS), VARIANTS)))
        grains.append(np.full(VARIANTS, grain * 0.8, np.float32))
    return np.concatenate(means, axis=1), np.concatenate(vigours, axis=1), np.concatenate(grains)


def _parcel_rows(parcels: Parcels, day: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Mean, vigour, stripe and grain of the parcels on a day."""
    traits = [uniform(parcels.key, np.full_like(parcels.key, n), 0) for n in range(5)]
    wetness, timing, lushness, pale, after = traits
    green, dry, leaf, straw = _cover_shares(parcels, day + (timing - 0.5) * 24, lushness, after)
    tint = (pale * np.float32(0.75) + np.float32(0.1))[None, :]
    soil = DARK_SOIL[:, None] * (1 - tint) + PALE_SOIL[:, None] * tint
    bare = 1 - green - dry
    mean = leaf * green + straw * dry + soil * bare * (np.float32(0.88) + np.float32(0.2) * wetness)
    open_ground = (soil + straw) * np.float32(0.5)
    grassy = np.isin(parcels.use, [Use.PASTURE, Use.MEADOW, Use.ROUGH])
    swing = np.where(grassy, np.float32(0.07), np.float32(0.03) + np.float32(0.16) * green * (1 - green))
    vigour = (leaf - open_ground) * swing + mean * np.float32(0.012)
    # Tramlines show most while the crop is half closed; mown meadow has faint swaths; vines stand in rows all year.
    stripe = np.where(grassy, np.float32(0.12), np.float32(0.55) + np.float32(0.5) * timing)
    stripe = np.where(parcels.use == Use.VINEYARD, np.float32(1.6), stripe)
    grain = np.where(grassy, np.float32(0.03), np.float32(0.015)) + np.float32(0.01) * after
    return mean, vigour, stripe.astype(np.float32), grain


def _cover_shares(
    parcels: Parcels, day: Floats, lushness: Floats, after: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Green and dry cover of each parcel, with the spectra of its leaves and its straw, shape (bands, parcels)."""
    count = parcels.use.size
    green, dry = np.full(count, 0.1, np.float32), np.full(count, 0.1, np.float32)
    leaf = np.repeat(GRASS[:, None], count, axis=1)
    straw = np.repeat(DRY_PLANTS[:, None], count, axis=1)
    for use, season in _SEASONS.items():
        chosen = parcels.use == use
        grown, yellow, cut = _progress(season, day[chosen])
        full = np.float32(season.cover) * (np.float32(0.82) + np.float32(0.18) * lushness[chosen])
        green[chosen] = full * grown * (1 - yellow)
        standing = full * grown * yellow * (1 - cut)
        # After the harvest some fields are ploughed at once, most keep their stubble for weeks.
        left = np.where(after[chosen] < 0.3, np.float32(0.08), np.float32(0.55)) * cut
        dry[chosen] = standing + left
        leaf[:, chosen] = season.leaf[:, None]
        straw[:, chosen] = DRY_PLANTS[:, None] * (1 - cut) + STUBBLE[:, None] * cut
    for use, (low, high, withered) in _STEADY.items():
        chosen = parcels.use == use
        drought = np.float32(withered) * np.exp(-(((day[chosen] - 215) / 55) ** 2)).astype(np.float32)
        green[chosen] = (low + (high - low) * lushness[chosen]) * (1 - drought)
        dry[chosen] = (1 - green[chosen]) * np.float32(0.62)
    _mow(parcels, day, green)
    return green, dry, leaf, straw


_STEADY: dict[Use, tuple[float, float, float]] = {
    Use.ALFALFA: (0.7, 0.95, 0.15),
    Use.FALLOW: (0.05, 0.3, 0.5),
    Use.PASTURE: (0.6, 0.92, 0.28),
    Use.MEADOW: (0.7, 0.98, 0.24),
    Use.VINEYARD: (0.3, 0.48, 0.1),
    Use.ROUGH: (0.35, 0.65, 0.3),
}
"""Least and greatest green cover of what stays all year, and how much of it midsummer withers."""


def _progress(season: _Season, day: Floats) -> tuple[Floats, Floats, Floats]:
    """How far leaves have grown, yellowed, and been cut, each 0 to 1."""

    def rise(start: float, end: float) -> Floats:
        t = np.clip((day - np.float32(start)) / np.float32(end - start), 0, 1)
        return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)

    return (
        rise(season.sprout, season.full),
        rise(season.ripen, season.harvest),
        rise(season.harvest, season.harvest + 6),
    )


def _mow(parcels: Parcels, day: Floats, green: Floats) -> None:
    """Meadows and alfalfa are cut every six or seven weeks and grow back."""
    cut = np.isin(parcels.use, [Use.MEADOW, Use.ALFALFA])
    since = np.mod(day[cut] + uniform(parcels.key[cut], parcels.key[cut], 77) * 45, np.float32(45))
    green[cut] *= np.float32(0.5) + np.float32(0.5) * np.minimum(since / 25, 1)
