"""Pixels: what the satellite's instrument records of a block on one pass."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from agri_assets.samples.covers import FIRST_PARCEL, VARIANTS, Fixed
from agri_assets.samples.ground import Block
from agri_assets.samples.landscape import Land
from agri_assets.samples.noise import Floats, normal, stream
from agri_assets.samples.passes import Pass
from agri_assets.samples.sky import Sky, make_sky
from agri_assets.samples.spectra import BANDS, FIXED_SPECTRA, GRASS, SpectralTable, make_table

QUANTIFICATION, OFFSET = 10_000, 1_000
"""Stored number = reflectance * 10000 + 1000, 0 being no data (processing baselines from 04.00)."""
RESOLUTION = {
    **dict.fromkeys(("B02", "B03", "B04", "B08"), 10),
    **dict.fromkeys(("B05", "B06", "B07", "B8A", "B11", "B12"), 20),
    **dict.fromkeys(("B01", "B09"), 60),
}
"""Pixel size of each band, metres."""
CENTRE_NM = dict(
    zip(BANDS, (442.7, 492.7, 559.8, 664.6, 704.1, 740.5, 782.8, 832.8, 864.7, 945.1, 1613.7, 2202.4), strict=True)
)
"""Central wavelength of each band of Sentinel-2A, nm, as its products state."""
MARGIN_PX = 6
"""Pixels made around a block so that blur and shadows have neighbours; a multiple of 6 keeps coarse grids aligned."""

_CLOUD = dict(zip(BANDS, (62, 63, 63, 65, 66, 67, 68, 69, 70, 44, 47, 37), strict=True))
"""Reflectance of thick cloud, percent: flat in the visible, absorbed by vapour in B09 and by droplets in the SWIR."""
_DIFFUSE = dict(zip(BANDS, (50, 46, 38, 31, 28, 26, 24, 22, 21, 20, 12, 9), strict=True))
"""Light that reaches cloud shadows from the sky, percent of full light, more in the blue."""
_REFERENCE = {
    "B01": (129.0, 129, 1884.69), "B02": (128.0, 154, 1959.66), "B03": (128.0, 168, 1823.24),
    "B04": (108.0, 142, 1512.06), "B05": (74.5, 117, 1424.64), "B06": (68.0, 89, 1287.61),
    "B07": (67.0, 105, 1162.08), "B08": (103.0, 174, 1041.63), "B8A": (52.5, 72, 955.32),
    "B09": (9.0, 114, 812.92), "B11": (4.0, 100, 245.59), "B12": (1.5, 100, 85.25),
}  # fmt: skip
"""Reference radiance (W/m2/sr/um), signal-to-noise there (Sentinel-2 User Handbook, table 1), solar irradiance."""
MTF_BLUR = 0.11
"""Share of a pixel's light that each neighbour along a line receives; modulation 0.56 at half a cycle per pixel."""


Pixel = TypeVar("Pixel", np.uint8, np.uint16)


@dataclass(frozen=True)
class Pixels:
    """The recorded pixels of a block.

    Attributes:
        bands: Stored numbers of each band on its own grid, uint16.
        scl: Scene classification on the 20 m grid, uint8.
    """

    bands: dict[str, NDArray[np.uint16]]
    scl: NDArray[np.uint8]


def widened(block: Block) -> Block:
    """The block with its margin."""
    m = MARGIN_PX
    return Block(block.epsg, block.col - m, block.row - m, block.width + 2 * m, block.height + 2 * m)


def render(land: Land, overpass: Pass) -> Pixels:
    """Record a block on one pass.

    Args:
        land: The ground of the block widened by its margin (`widened`).
        overpass: The pass.
    """
    table = make_table(land.parcels, overpass.season)
    sky = make_sky(land.block, overpass.weather, overpass.sun)
    light = _illumination(land, overpass.sun)
    grain = 1 + table.grain[land.row] * land.grain
    swing = land.vigour + table.stripe[land.row] * land.stripe
    skies = {step: _coarser(sky, step) for step in (1, 2, 6)}
    bands: dict[str, NDArray[np.uint16]] = {}
    clean: dict[str, Floats] = {}
    for number, band in enumerate(BANDS):
        step = RESOLUTION[band] // 10
        surface = _surface(table, land, number, swing) * grain * light
        surface = _blur(surface) if step == 1 else _mean(surface, step)
        seen = _through(np.maximum(surface, np.float32(0.0015)), skies[step], band)
        bands[band] = _inner(_record(seen, band, land.block, overpass), step)
        if band in ("B03", "B04", "B8A"):
            clean[band] = surface if step == 2 else _mean(surface, 2)
    return Pixels(bands, _inner(_classify(land, clean, skies[2]), 2))


def _surface(table: SpectralTable, land: Land, band: int, swing: Floats) -> Floats:
    """Reflectance of the ground in one band, before light and air."""
    ground: Floats = table.mean[band][land.row] + table.vigour[band][land.row] * swing
    ground += land.margin * (land.row >= FIRST_PARCEL) * (np.float32(0.9) * GRASS[band] - ground) * np.float32(0.5)
    ground += land.road * (FIXED_SPECTRA[Fixed.ASPHALT][band] - ground)
    return ground


def _illumination(land: Land, sun: tuple[float, float]) -> Floats:
    """Light on each pixel relative to flat ground: slopes, and the shadows of trees and houses.

    The slope term is the cosine law; a fifth of the light is taken as diffuse.
    """
    zenith, azimuth = np.radians(sun)
    east, north = np.float32(np.sin(azimuth)), np.float32(np.cos(azimuth))
    rise = land.slope_east * east + land.slope_north * north
    norm = np.sqrt(1 + land.slope_east**2 + land.slope_north**2)
    direct = (1 - np.float32(np.tan(zenith)) * rise) / norm
    light = np.float32(0.2) + np.float32(0.8) * np.maximum(direct, np.float32(0.1))
    sunward = np.roll(land.height, (int(np.rint(north)), -int(np.rint(east))), axis=(0, 1)).astype(np.float32)
    shade = np.clip((sunward - land.height) * np.float32(np.tan(zenith) / 14), 0, 1)
    return np.asarray(light * (1 - np.float32(0.55) * shade), dtype=np.float32)


def _mean(values: Floats, step: int) -> Floats:
    """Mean of `step` by `step` pixels, added in a fixed order so that every block gets the same bits."""
    rows = values[::step].copy()
    for offset in range(1, step):
        rows += values[offset::step]
    columns = rows[:, ::step].copy()
    for offset in range(1, step):
        columns += rows[:, offset::step]
    return columns * np.float32(1 / step**2)


def _blur(values: Floats) -> Floats:
    """The instrument's point spread over a 3 by 3 neighbourhood; edge pixels are left as they are."""
    middle, side = np.float32(1 - 2 * MTF_BLUR), np.float32(MTF_BLUR)
    lines = values.copy()
    lines[1:-1] = values[1:-1] * middle + (values[:-2] + values[2:]) * side
    result = lines.copy()
    result[:, 1:-1] = lines[:, 1:-1] * middle + (lines[:, :-2] + lines[:, 2:]) * side
    return result


def _coarser(sky: Sky, step: int) -> Sky:
    """The sky on a coarser grid."""
    if step == 1:
        return sky
    return Sky(_mean(sky.cloud, step), _mean(sky.light, step), _mean(sky.shadow, step), _mean(sky.haze, step))


def _through(surface: Floats, sky: Sky, band: str) -> Floats:
    """The ground seen through haze and clouds; scattering falls with the wavelength to the power -1.3."""
    haze = sky.haze * np.float32((CENTRE_NM[band] / 492.7) ** -1.3)
    if sky.cloud.any() or sky.shadow.any():
        surface = surface * (1 - sky.shadow * np.float32(1 - _DIFFUSE[band] / 100))
        surface = surface + haze * (np.float32(0.22) - surface)
        return surface + sky.cloud * (sky.light * np.float32(_CLOUD[band] / 100) - surface)
    return surface + haze * (np.float32(0.22) - surface)


def _record(reflectance: Floats, band: str, block: Block, overpass: Pass) -> NDArray[np.uint16]:
    """Stored numbers with the instrument's noise, which grows with the square root of the light."""
    step = RESOLUTION[band] // 10
    cols = block.cols[:, ::step] // step
    rows = block.rows[::step] // step
    radiance, ratio, irradiance = _REFERENCE[band]
    reference = np.pi * radiance / (irradiance * np.cos(np.radians(overpass.sun[0])))
    scale = np.float32(reference / ratio / np.sqrt(reference) * QUANTIFICATION)
    sigma = scale * np.sqrt(reflectance + np.float32(0.03))
    draws = normal(cols, rows, stream(overpass.weather.seed, f"{band}/{block.epsg}"))
    counts = np.rint(reflectance * np.float32(QUANTIFICATION) + sigma * draws) + np.float32(OFFSET)
    stored: NDArray[np.uint16] = np.clip(counts, 1, 65_534).astype(np.uint16)
    return stored


def _classify(land: Land, clean: dict[str, Floats], sky: Sky) -> NDArray[np.uint8]:
    """Scene classes in Sen2Cor's codes: 2 dark, 3 shadow, 4 plants, 5 bare, 6 water, 7 unsure, 8 and 9 cloud."""
    red, near, green = clean["B04"], clean["B8A"], clean["B03"]
    is_water = (land.row >= Fixed.WATER * VARIANTS) & (land.row < Fixed.SHORE * VARIANTS)
    scl = np.where((near - red) / (near + red) > 0.36, 4, 5).astype(np.uint8)
    scl[(near < 0.09) & (green < 0.04)] = 2
    scl[_mean(is_water.astype(np.float32), 2) > 0.5] = 6
    scl[sky.shadow > 0.45] = 3
    scl[sky.cloud > 0.08] = 7
    scl[sky.cloud > 0.25] = 8
    scl[sky.cloud > 0.65] = 9
    return scl


def _inner(values: NDArray[Pixel], step: int) -> NDArray[Pixel]:
    """Cut the margin off."""
    margin = MARGIN_PX // step
    return values[margin:-margin, margin:-margin]
