"""A scene's darkest pixels as evidence beside its metadata: whether the offset of -1000 is in the stored numbers.

Water, deep shadow and dense vegetation reflect less than 5 % in blue and red, so a scene's darkest numbers lie near 0
where nothing is to be added, and near 1000 where -1000 is. Only what excludes the metadata's word is refused; where
the pixels leave it open (deserts, snow, clouds), the metadata's word stands.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from agri_assets.errors import SceneError
from agri_assets.remote.raster import Raster, open_raster
from agri_assets.scenes.clouds import dilate
from agri_assets.scenes.naming import BANDS, CLASSIFICATION
from agri_assets.scenes.record import BandRecord, SceneRecord

BLUE = ("B02", "B01")
TELLING = (BLUE, ("B04", "B05", "B03"), ("B12", "B11", "B8A", "B08"))
"""Bands to look at, the first of each group that the collection has: dark over water, shadow or vegetation, and from
parts of the spectrum far from each other, so that no one kind of ground is dark (or bright) in all of them."""

LAYERS = (*BANDS, CLASSIFICATION)

EDGE = 512
"""Longest edge of a decimated look, in pixels."""

WHOLE_EDGE = 1024
"""TIFFs up to this edge are read as they are."""

PLACES = 3
"""Blocks read where there are no overviews, along the diagonal: a full 10 m band has 121, and each takes a tenth of a
second to decode."""

MARGIN = 2
"""Pixels beside nodata that are not counted: overviews and resampled products mix them with nothing. On real products
decimated to 120 m, two thirds of the numbers below 50 lie there."""

EVIDENCE = "darkest pixels"
"""Name of what was seen among the evidence of a radiometric decision."""

KEPT_OFFSET = 1000
"""Where reflectance 0 is stored if the offset is still in the numbers."""

KEPT_BELOW = 1500
"""Where the darkest numbers lie if the offset is still there: darkest blue and red reflect 0 to 0.03 in real scenes."""

MISSING_BELOW = 500
"""Numbers that -1000 would make a reflectance below -0.05: atmospheric correction errs by less than that on land."""

MISSING_SHARE = 0.01
"""Share of such numbers that noise, water and shadow cannot explain; six real products without offset have 14 to 86 %
in blue."""

CLOUDY = 90.0
"""Cloud cover (percent) from which bright pixels say nothing: thin cloud over all has its darkest blue at 0.1 too."""

LEAST_PIXELS = 1000
"""Valid pixels below which a 0.1 percentile is no statistic."""


@dataclass(frozen=True)
class BandFloor:
    """The darkest valid pixels of one band, in stored numbers.

    Attributes:
        band: Its name.
        offset: What metadata say is to be added to it.
        valid: Pixels looked at.
        lowest: 0.1 percentile; 0 where no pixel is valid, as the others.
        low: 1 percentile.
        below_1000: Share of the pixels below 1000.
        below_500: Share of the pixels below 500.
    """

    band: str
    offset: int
    valid: int
    lowest: float
    low: float
    below_1000: float
    below_500: float


@dataclass(frozen=True)
class Darkest:
    """What a look at a scene's darkest pixels saw."""

    bands: tuple[BandFloor, ...]

    @property
    def telling(self) -> tuple[BandFloor, ...]:
        """The bands with enough valid pixels."""
        return tuple(band for band in self.bands if band.valid >= LEAST_PIXELS)

    @property
    def evidence(self) -> str:
        """One line of evidence."""
        if not self.telling:
            return f"not judged: fewer than {LEAST_PIXELS} valid pixels"
        return ", ".join(f"{one.band} {one.lowest:.0f}" for one in self.telling) + " (0.1 percentile, stored numbers)"


def look(record: SceneRecord) -> Darkest:
    """Read some pixels of at most three bands and find the darkest: an overview, or a few blocks.

    Raises:
        SceneError: A band cannot be read.
    """
    chosen = [next((band for band in group if band in record.bands), None) for group in TELLING]
    return Darkest(tuple(_floor(band, record.bands[band]) for band in chosen if band is not None))


def judge(record: SceneRecord, darkest: Darkest) -> None:
    """Refuse a scene whose pixels exclude what its metadata say of the offset.

    Two things cannot be: numbers that -1000 would take well below zero over more than `MISSING_SHARE` of a band; and,
    where nothing is to be added, a scene whose darkest blue lies in `KEPT_OFFSET` to `KEPT_BELOW` together with that
    of at least half of the bands, with nothing darker in any band. Bright ground is not refused by that: bare ground
    whose blue were that bright would be far brighter in red and infrared (29RKH, all desert: blue 672, red 1376, near
    infrared 1600, short-wave infrared 1712), snow and thick clouds are far brighter in blue, and scenes under cloud
    as a whole are not judged.

    Raises:
        SceneError: Metadata and pixels contradict each other; both are quoted.
    """
    for one in darkest.telling:
        if one.offset < 0 and one.below_500 > MISSING_SHARE:
            raise _contradiction(
                record,
                f"{one.below_500:.1%} of the stored numbers of {one.band} are below {MISSING_BELOW} (reflectance "
                f"below {(MISSING_BELOW + one.offset) * 1e-4:g} after adding): the offset is not in the pixels",
            )
    if _still_there(record, darkest.telling):
        raise _contradiction(
            record,
            f"the darkest pixels are {darkest.evidence}, nothing darker than {KEPT_OFFSET}: "
            "the offset is still in the pixels",
        )


def with_evidence(record: SceneRecord, evidence: str) -> SceneRecord:
    """The record with what was seen among the evidence of its radiometric decision."""
    radiometry = record.radiometry
    told = radiometry.model_copy(update={"evidence": {**radiometry.evidence, EVIDENCE: evidence}})
    return record.model_copy(update={"radiometry": told})


def _still_there(record: SceneRecord, bands: tuple[BandFloor, ...]) -> bool:
    """The 0.1 percentile serves as the floor: even with the offset a few numbers (3 in 10000) fall below 1000."""
    if any(one.offset != 0 or one.lowest < KEPT_OFFSET for one in bands) or (record.cloud_cover or 0) >= CLOUDY:
        return False
    at_floor = [one.band for one in bands if one.lowest < KEPT_BELOW]
    return len(at_floor) >= max(2, len(bands) / 2) and any(band in BLUE for band in at_floor)


def _contradiction(record: SceneRecord, seen: str) -> SceneError:
    # what the evidence says of single bands is about their grids
    fields = {name: value for name, value in record.radiometry.evidence.items() if name.split(" ")[0] not in LAYERS}
    said = ", ".join(f"{name} {value}" for name, value in fields.items() if value is not None)
    return SceneError(
        f"{record.location}: metadata and pixels contradict each other: metadata say: {record.radiometry.decision} "
        f"({said}); but {seen}; not usable until one is corrected"
    )


def _floor(name: str, band: BandRecord) -> BandFloor:
    numbers = _valid_numbers(band)
    if numbers.size == 0:
        return BandFloor(name, band.offset, 0, 0.0, 0.0, 0.0, 0.0)
    lowest, low = np.percentile(numbers, (0.1, 1.0))
    shares = (float((numbers < limit).mean()) for limit in (KEPT_OFFSET, MISSING_BELOW))
    return BandFloor(name, band.offset, numbers.size, float(lowest), float(low), *shares)


def _valid_numbers(band: BandRecord) -> npt.NDArray[Any]:
    """Stored numbers of a band that are not nodata and not beside it, in one row."""
    raster = open_raster(band.href, band.sign)
    try:
        pieces = [piece[~dilate(piece == band.nodata, MARGIN)] for piece in _pieces(raster, band.index)]
    finally:
        raster.close()
    return np.concatenate(pieces)


def _pieces(raster: Raster, index: int) -> Iterator[npt.NDArray[Any]]:
    """A small TIFF itself, the overview of a larger one, else blocks along the raster's diagonal in full resolution.

    A JPEG 2000 file offers reduced resolutions too, but they are no means of pixels: its low-pass filter undershoots
    beside bright pixels (a sample scene's darkest near-infrared number of 1070 becomes 59).
    """
    dataset = raster.dataset
    height, width = dataset.shape
    if max(height, width) <= WHOLE_EDGE and dataset.driver == "GTiff":
        yield raster.read(index)
    elif dataset.driver == "GTiff" and dataset.overviews(index):
        factor = max(height, width) / EDGE
        yield raster.read(index, out_shape=(max(1, round(height / factor)), max(1, round(width / factor))))
    else:
        rows, cols = dataset.block_shapes[index - 1]
        # a set: a raster of few blocks has one block at several places
        for top, left in sorted({(_block(height, rows, place), _block(width, cols, place)) for place in range(PLACES)}):
            yield raster.read(index, window=Window(left, top, min(EDGE, width - left), min(EDGE, height - top)))


def _block(pixels: int, block: int, place: int) -> int:
    """First pixel of the block that lies in the middle of one of `PLACES` equal parts of an axis."""
    return int((place + 0.5) * pixels / PLACES) // block * block
