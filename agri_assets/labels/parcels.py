"""Parcels as the land cover of one tile."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agri_assets.errors import LabelError
from agri_assets.labels.cover import Cover
from agri_assets.labels.parcel_classes import IGNORE, OTHER, OUTSIDE, code_classes, sides_of
from agri_assets.labels.parcel_file import read_parcels
from agri_assets.labels.parcel_raster import Drawing
from agri_assets.labels.parcel_shapes import Shapes, shapes_over
from agri_assets.labels.settings import LandLabels, ParcelLabels
from agri_assets.labels.worldcover import NODATA
from agri_assets.scenes.grid import TileGrid
from agri_assets.store.fingerprint import file_digest, file_stamp
from agri_assets.store.receipt import Scalar


@dataclass(frozen=True)
class ParcelSource:
    """The parcels over one tile.

    Attributes:
        labels: Where they are and what they mean.
        tile: Name of the tile, for messages.
        grid: Its grid.
    """

    labels: ParcelLabels
    tile: str
    grid: TileGrid

    @property
    def inputs(self) -> dict[str, Any]:
        """Stamps of the file and those that belong to it, the mapping's content, and the settings of the drawing."""
        path, mapping = self.labels.path, self.labels.mapping
        if not path.exists():
            raise LabelError(f"{path}: no such file; put it there, or mend labels.path")
        if mapping is not None and not mapping.is_file():
            raise LabelError(f"{mapping}: no such file; put the mapping there, or mend labels.mapping")
        return {
            "files": [file_stamp(part) for part in _parts(path)],
            "mapping": file_digest(mapping) if mapping else None,
            "settings": self.labels.model_dump(mode="json", exclude={*LandLabels.model_fields, "path", "mapping"}),
        }

    @contextmanager
    def open(self) -> Iterator[Cover]:
        """Read the parcels over the tile, and draw them window by window."""
        labels, name = self.labels, self.labels.path.name
        raw = read_parcels(labels, self.grid)
        shapes = shapes_over(raw, self.grid)
        if not shapes.values:
            raise LabelError(
                f"tile {self.tile}: no parcel of {labels.path} lies over it; add the parcels of its ground"
            )
        sides = sides_of(labels, shapes.values)
        classes = code_classes(labels, sides)
        codes = np.array([classes.codes[value] for value in shapes.values], np.uint8)
        outside = OUTSIDE if labels.outside == OTHER else NODATA
        told = (*raw.notes, *_warnings(shapes))
        drawing = Drawing.of(shapes.polygons, codes[shapes.parcels], outside, labels.boundary)
        yield Cover(name, classes.legend, drawing.read, _figures(name, shapes, sides), told)


def _parts(path: Path) -> list[Path]:
    """A file and those of the same name beside it: a Shapefile is several."""
    if path.suffix.lower() != ".shp":
        return [path]
    return sorted(part for part in path.parent.iterdir() if part.stem == path.stem)


def _figures(name: str, shapes: Shapes, sides: dict[str, str]) -> dict[str, Scalar]:
    met = Counter(sides[value] for value in shapes.values)
    return {
        "files": name,
        "parcels": len(shapes.values),
        **{f"parcels_{'ignored' if side == IGNORE else side}": met[side] for side in sorted(met)},
        "parcels_repaired": shapes.repaired,
        "parcels_dropped": shapes.dropped,
    }


def _warnings(shapes: Shapes) -> tuple[str, ...]:
    told = {
        f"{shapes.repaired} parcels had invalid outlines, which were repaired": shapes.repaired,
        f"{shapes.dropped} features over or beside the tile had no polygon and were dropped": shapes.dropped,
    }
    return tuple(text for text, count in told.items() if count)
