"""Pictures of samples in true and false colour, and a contact sheet of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from agri_assets.cube.open import cube_info, open_reflectance
from agri_assets.evaluation.drawing import DPI, INK, MUTED, figure_png
from agri_assets.loading.samples import SampleTable

Pixels = npt.NDArray[np.uint16]
Picture = npt.NDArray[np.uint8]

TRUE_COLOUR = ("B04", "B03", "B02")
FALSE_COLOUR = ("B08", "B04", "B03")
"""Near infrared shown as red: growing plants shine, bare soil and water do not."""

BRIGHT = 3000
"""Digital number (reflectance 0.3) shown as white, usual for true-colour views of land."""

GAMMA = 1.4
"""Opens the shadows: most land reflects less than 0.1 in the visible bands."""


@dataclass(frozen=True)
class Chip:
    """One sample to look at.

    Attributes:
        picture: (tile_size, tile_size, 3) RGB, in true colour.
        name: Tile position and date.
        label: 1 if agricultural.
        probability: What the model gave.
        class_name: Its land-cover class, where known.
        infrared: The same in false colour, where there is a near-infrared band.
    """

    picture: Picture
    name: str
    label: int
    probability: float
    class_name: str | None
    infrared: Picture | None = None

    @property
    def title(self) -> str:
        """What it is, and what the model took it for."""
        kind = self.class_name or ("agricultural" if self.label else "not agricultural")
        return f"{kind}, called {'not agricultural' if self.label else 'agricultural'}"

    @property
    def both(self) -> Picture:
        """True and false colour side by side, as far as there are both."""
        return self.picture if self.infrared is None else np.concatenate([self.picture, self.infrared], axis=1)


def true_colour(pixels: Pixels, bands: Sequence[str], units: str) -> Picture:
    """Pixels (..., bands, height, width) as RGB (..., height, width, 3); the first band in grey where a colour lacks.

    Args:
        pixels: Cube values.
        bands: Band names, in the order of the pixels.
        units: `reflectance` (10000 is 1) or `dn8` (already 0 to 255).
    """
    chosen = TRUE_COLOUR if set(TRUE_COLOUR) <= set(bands) else (bands[0],) * 3
    return _colours(pixels, bands, units, chosen)


def false_colour(pixels: Pixels, bands: Sequence[str], units: str) -> Picture | None:
    """The same with near infrared as red, red as green and green as blue; None where one of them lacks."""
    return _colours(pixels, bands, units, FALSE_COLOUR) if set(FALSE_COLOUR) <= set(bands) else None


def _colours(pixels: Pixels, bands: Sequence[str], units: str, chosen: Sequence[str]) -> Picture:
    colours = np.moveaxis(pixels[..., [bands.index(band) for band in chosen], :, :], -3, -1)
    if units == "dn8":
        return np.clip(colours, 0, 255).astype(np.uint8)
    return np.asarray((np.clip(colours / BRIGHT, 0, 1) ** (1 / GAMMA) * 255).round(), dtype=np.uint8)


def read_chips(
    samples: SampleTable, cubes: Mapping[str, Path], chosen: npt.NDArray[np.intp]
) -> list[tuple[Picture, Picture | None]]:
    """Pictures of the chosen samples in true and in false colour, in their order."""
    found = []
    for index in chosen:
        path = cubes[samples.tiles[samples.tile[index]]]
        info = cube_info(path)
        size, slot = info.tile_size, int(samples.slot[index])
        y, x = int(samples.row[index]) * size, int(samples.col[index]) * size
        pixels = np.asarray(open_reflectance(path)[slot : slot + 1, :, y : y + size, x : x + size])[0]
        said = (pixels, info.bands, info.units)
        found.append((true_colour(*said), false_colour(*said)))
    return found


def contact_sheet(chips: Sequence[Chip], columns: int = 4) -> bytes:
    """Chips with their captions as one PNG; the page itself shows them one by one."""
    rows = max(1, -(-len(chips) // columns))
    figure = Figure(figsize=(1.75 * columns, 2.15 * rows), dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    for axes, chip in zip(figure.subplots(rows, columns, squeeze=False).flat, chips, strict=False):
        axes.imshow(chip.both, interpolation="nearest")
        kind = chip.class_name or ("agricultural" if chip.label else "not agricultural")
        axes.set_title(f"{kind}\np = {chip.probability:.3f}", fontsize=8, color=INK)
        axes.set_xlabel(chip.name, fontsize=5.5, color=MUTED)
    for axes in figure.axes:
        axes.spines[:].set_visible(False)
        axes.set(xticks=(), yticks=())
    return figure_png(figure)
