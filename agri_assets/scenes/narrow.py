"""A record cut down to the bands that a collection uses."""

import math

from agri_assets.errors import SceneError
from agri_assets.scenes.record import SceneRecord


def narrow(record: SceneRecord, bands: tuple[str, ...]) -> SceneRecord:
    """The same scene with these bands only, in this order, on the grid of the finest of them.

    Raises:
        SceneError: The product lacks one of the bands.
    """
    for band in bands:
        if band not in record.bands:
            has = ", ".join(record.bands)
            raise SceneError(
                f"{record.location}: lists no band {band}; it has {has}; use another product or drop {band}"
            )
    kept = {band: record.bands[band] for band in bands}
    resolution = min(band.resolution for band in kept.values())
    factor = resolution / record.transform[0]
    a, b, left, d, e, top = record.transform
    height, width = record.shape
    return record.model_copy(
        update={
            "bands": kept,
            "transform": (a * factor, b, left, d, e * factor, top),
            # a coarse raster's last pixels reach beyond the finest band's where sizes do not divide
            "shape": (_pixels(height / factor), _pixels(width / factor)),
        }
    )


def _pixels(count: float) -> int:
    """Whole pixels that hold this many, rounding of the quotient aside."""
    return math.ceil(round(count, 6))
