"""The classes of ESA WorldCover.

Codes, names and colours: ESA WorldCover Product User Manual, version 2.0 (2022), table of the land-cover legend; the
same colours stand in the colour table of every WorldCover file.
"""

from dataclasses import dataclass

NODATA = 0
"""The code of pixels without a class."""

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class CoverClass:
    """One class of the legend: its code in the file, its name and its colour."""

    code: int
    name: str
    colour: Colour


CLASSES = (
    CoverClass(10, "Tree cover", (0, 100, 0)),
    CoverClass(20, "Shrubland", (255, 187, 34)),
    CoverClass(30, "Grassland", (255, 255, 76)),
    CoverClass(40, "Cropland", (240, 150, 255)),
    CoverClass(50, "Built-up", (250, 0, 0)),
    CoverClass(60, "Bare or sparse vegetation", (180, 180, 180)),
    CoverClass(70, "Snow and ice", (240, 240, 240)),
    CoverClass(80, "Permanent water bodies", (0, 100, 200)),
    CoverClass(90, "Herbaceous wetland", (0, 150, 160)),
    CoverClass(95, "Mangroves", (0, 207, 117)),
    CoverClass(100, "Moss and lichen", (250, 230, 160)),
)
"""The legend, in order of code."""

NAMES = {entry.code: entry.name for entry in CLASSES}
COLOURS = {entry.code: entry.colour for entry in CLASSES}
