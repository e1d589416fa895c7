"""Reading those parcels of a vector file that lie over a tile."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.lib
import pyogrio
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError
from shapely.errors import ShapelyError

from agri_assets.errors import LabelError
from agri_assets.labels.degrees import Bounds
from agri_assets.labels.parcel_parquet import ParquetParcels
from agri_assets.labels.settings import ParcelLabels
from agri_assets.scenes.grid import TileGrid

MARGIN_M = 100.0
"""Ground read beyond a tile: more than its edges bow between the points at which they are transformed."""

GEOPARQUET = (".parquet", ".geoparquet", ".pq")

Geometries = NDArray[np.object_]


@dataclass(frozen=True)
class RawParcels:
    """Parcels as a file has them: those whose bounding box meets the tile's.

    Attributes:
        geometry: Shapely geometries; None where one cannot be read. Features without one lie nowhere and are not read.
        values: The attribute's values as text, empty where they are missing or no attribute is asked for.
        crs: The file's.
        longest_edge: A hundredth of the tile's extent, in units of the CRS.
        notes: What people must be told of the file.
    """

    geometry: Geometries
    values: tuple[str, ...]
    crs: CRS
    longest_edge: float
    notes: tuple[str, ...] = ()


def read_parcels(labels: ParcelLabels, grid: TileGrid) -> RawParcels:
    """The parcels of the collection's file whose bounding boxes meet a tile's.

    Raises:
        LabelError: The file is missing, cannot be read, has no CRS, or lacks the layer or the attribute.
    """
    path = labels.path
    if not path.exists():
        raise LabelError(f"{path}: no such file; put the parcels there, or mend labels.path")
    with _told(path):
        file = ParquetParcels.open(path) if path.suffix.lower() in GEOPARQUET else _OgrParcels.open(path, labels.layer)
        if file.crs is None:
            raise LabelError(f"{path}: does not say its CRS; add it (a Shapefile's is its .prj), it is not guessed")
        if labels.attribute is not None and labels.attribute not in file.columns:
            known = ", ".join(file.columns) or "none"
            raise LabelError(f"{path}: has no attribute {labels.attribute!r}; it has {known}")
        boxes = _boxes(path, grid, file.crs)
        geometry, values = file.read(labels.attribute, boxes)
    west, south, east, north = boxes[0]
    edge = max(east - west, north - south) / 100
    return RawParcels(geometry, tuple(_text(value) for value in values), file.crs, edge, file.notes)


@dataclass(frozen=True)
class _OgrParcels:
    """One layer of any vector file that GDAL reads; `types` are those of its columns."""

    path: Path
    layer: str
    crs: CRS | None
    columns: tuple[str, ...]
    types: tuple[str, ...]
    notes: tuple[str, ...]

    @classmethod
    def open(cls, path: Path, layer: str | None) -> "_OgrParcels":
        # a layer without geometries is a table
        layers = [str(name) for name, geometry in pyogrio.list_layers(path) if geometry is not None]
        known = ", ".join(layers) or "none"
        if not layers or (layer is not None and layer not in layers):
            raise LabelError(f"{path}: has no layer {layer or 'of features'}; it has {known}")
        chosen = layer or layers[0]
        unsaid = f"{path.name} has the layers {known}; {chosen} was taken, say labels.layer for another"
        info = pyogrio.read_info(path, layer=chosen)
        return cls(
            path=path,
            layer=chosen,
            crs=CRS.from_user_input(info["crs"]) if info["crs"] else None,
            columns=tuple(str(name) for name in info["fields"]),
            types=tuple(str(name) for name in info["dtypes"]),
            notes=(unsaid,) if layer is None and len(layers) > 1 else (),
        )

    def read(self, attribute: str | None, boxes: Sequence[Bounds]) -> tuple[Geometries, NDArray[np.object_]]:
        frames = [self._frame(attribute, box) for box in boxes]
        frame = pd.concat(frames) if len(frames) > 1 else frames[0]
        # what lies across the antimeridian is found on both its sides
        frame = frame[~frame.index.duplicated()]
        values = frame[attribute] if attribute else pd.Series([""] * len(frame))
        return np.asarray(frame.geometry, dtype=object), values.to_numpy(dtype=object)

    def _frame(self, attribute: str | None, box: Bounds) -> gpd.GeoDataFrame:
        asked: dict[str, Any] = {"layer": self.layer, "columns": [attribute] if attribute else [], "bbox": box}
        frame = pyogrio.read_dataframe(self.path, **asked, fid_as_index=True, on_invalid="ignore")
        if attribute is None or not self._lost_digits(attribute, frame):
            return frame
        _, table = pyogrio.read_arrow(self.path, **asked, return_fids=True)
        exact = dict(zip(table.column(0).to_pylist(), table[attribute].to_pylist(), strict=True))
        return frame.assign(**{attribute: pd.Series([exact[fid] for fid in frame.index], frame.index, dtype=object)})

    def _lost_digits(self, attribute: str, frame: gpd.GeoDataFrame) -> bool:
        """Whether whole numbers came as floats, as they do where some are missing."""
        declared = self.types[self.columns.index(attribute)]
        return "int" in declared and bool(pd.api.types.is_float_dtype(frame[attribute]))


def _boxes(path: Path, grid: TileGrid, crs: CRS) -> tuple[Bounds, ...]:
    """The tile's box in a file's CRS; two across the antimeridian."""
    left, bottom, right, top = grid.bounds
    wider = left - MARGIN_M, bottom - MARGIN_M, right + MARGIN_M, top + MARGIN_M
    west, south, east, north = Transformer.from_crs(grid.crs, crs, always_xy=True).transform_bounds(*wider)
    if not np.isfinite([west, south, east, north]).all():
        raise LabelError(f"{path}: its CRS ({crs.name}) is not meant for the ground of this tile; reproject the file")
    return (
        ((west, south, east, north),) if west <= east else ((west, south, 180.0, north), (-180.0, south, east, north))
    )


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tell what the libraries raise as one line."""
    try:
        yield
    except (
        DataSourceError, DataLayerError, FeatureError, CRSError, ProjError, pyarrow.lib.ArrowException,
        ShapelyError, OSError, ValueError, KeyError, TypeError,
    ) as error:  # fmt: skip
        message = " ".join(str(error).split())
        raise LabelError(f"{path}: no parcels can be read from it ({message}); damaged, or no vector file") from None


def _text(value: Any) -> str:
    """A value as text: 311 and 311.0 are `311`, missing ones are empty."""
    if value is None or (isinstance(value, float) and np.isnan(value)) or value is pd.NA:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
