"""Figures of a date's bands, from pixels that are in memory anyway."""

import numpy as np

from agri_assets.cube.looks import Thinning
from agri_assets.cube.manifest import BandFigures
from agri_assets.cube.scene_shards import SlotPixels
from agri_assets.cube.schema import CubeInfo
from agri_assets.scenes.clouds import clear_mask, valid_mask
from agri_assets.scenes.settings import CloudSettings


def band_figures(info: CubeInfo, pixels: SlotPixels, clouds: CloudSettings) -> tuple[BandFigures, ...]:
    """What each band is like where the ground is seen, by the thinned pixels of the date; nothing where none is clear.

    Args:
        info: The cube.
        pixels: What came out of the date.
        clouds: Which pixels are clear.
    """
    thinning = Thinning.of(info)
    inside = thinning.inside(0, 0)
    valid, classes = pixels.valid[inside], pixels.classes[inside]
    usable = valid_mask(valid, classes)
    if info.grid is not None and classes.any():
        usable &= clear_mask(classes, clouds, info.grid.resolution * thinning.step)
    if not usable.any():
        return ()
    return tuple(_figures(band, values[usable]) for band, values in zip(info.bands, pixels.look, strict=True))


def _figures(band: str, values: np.ndarray[tuple[int, ...], np.dtype[np.uint16]]) -> BandFigures:
    low, median, high = np.percentile(values, (1, 50, 99)).tolist()
    mean, std = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
    return BandFigures(band=band, mean=round(mean, 1), std=round(std, 1), low=low, median=median, high=high)
