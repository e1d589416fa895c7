"""Reading those parcels of a GeoParquet file, or a folder of its parts, that lie over a tile."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as arrow_dataset
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from agri_assets.labels.degrees import Bounds

BATCH_ROWS = 16_384
"""Rows held at once of a file that does not tell where its rows lie."""

EXACT = {"integer_object_nulls": True}
"""Arrow's option for whole numbers with gaps, which else become floats and lose digits."""

DEFAULT_CRS = "OGC:CRS84"
"""What a file without the key `crs` is in (GeoParquet 1.1, section "crs"); a null there says that it is unknown."""


@dataclass(frozen=True)
class ParquetParcels:
    """A GeoParquet file whose metadata were read.

    Attributes:
        path: The file or folder.
        crs: Of its geometries, None where the file says that it is unknown.
        columns: Names of its columns, the geometry aside.
        geometry: Name of the geometry column.
        covered: Whether the file has boxes of its rows, by which most of it need not be read.
        notes: What people must be told of it.
    """

    path: Path
    crs: CRS | None
    columns: tuple[str, ...]
    geometry: str
    covered: bool
    notes: tuple[str, ...] = ()

    @classmethod
    def open(cls, path: Path) -> "ParquetParcels":
        """Read a file's metadata.

        Raises:
            ValueError: It is Parquet without the metadata of GeoParquet, or its geometries are not WKB.
        """
        schema = arrow_dataset.dataset(path, format="parquet").schema
        stored: Mapping[str, Any] = json.loads((schema.metadata or {}).get(b"geo", b"{}"))
        if "primary_column" not in stored:
            raise ValueError("it has no GeoParquet metadata")
        name = str(stored["primary_column"])
        column = stored["columns"][name]
        if column.get("encoding") != "WKB":
            raise ValueError(f"its geometries are encoded as {column.get('encoding')}; write them as WKB")
        given = column.get("crs", DEFAULT_CRS)
        others = tuple(str(field) for field in schema.names if field != name)
        crs = None if given is None else CRS.from_user_input(given)
        return cls(path, crs, others, name, bool(column.get("covering")))

    def read(self, attribute: str | None, boxes: Sequence[Bounds]) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
        """Geometries and values of the rows whose bounding box meets one of `boxes`."""
        columns = [self.geometry, *([attribute] if attribute else [])]
        frames = self._covered(columns, boxes) if self.covered else self._scanned(columns, boxes)
        geometry = [np.asarray(frame[self.geometry], dtype=object) for frame in frames]
        values = [frame[attribute].to_numpy(dtype=object) if attribute else np.full(len(frame), "") for frame in frames]
        return np.concatenate([np.empty(0, object), *geometry]), np.concatenate([np.empty(0, object), *values])

    def _covered(self, columns: list[str], boxes: Sequence[Bounds]) -> list[pd.DataFrame]:
        """Only the row groups that meet a box."""
        frames: list[pd.DataFrame] = []
        for box in boxes:
            frame = pd.DataFrame(gpd.read_parquet(self.path, columns=columns, bbox=box, to_pandas_kwargs=EXACT))
            for before in boxes[: len(frames)]:
                # what lies across the antimeridian is found on both its sides
                frame = frame[~_meets(np.asarray(frame[self.geometry], dtype=object), [before])]
            frames.append(frame)
        return frames

    def _scanned(self, columns: list[str], boxes: Sequence[Bounds]) -> list[pd.DataFrame]:
        """All rows, a batch at a time, so that only those that meet a box stay in memory."""
        rows = arrow_dataset.dataset(self.path, format="parquet").to_batches(
            columns=columns, batch_size=BATCH_ROWS, batch_readahead=1, fragment_readahead=1
        )
        return [self._matching(batch, boxes) for batch in rows]

    def _matching(self, batch: pa.RecordBatch, boxes: Sequence[Bounds]) -> pd.DataFrame:
        frame = batch.to_pandas(**EXACT)
        geometry = shapely.from_wkb(frame[self.geometry].to_numpy(dtype=object), on_invalid="ignore")
        # what is no WKB has no box; it stays, to be counted, while a row without geometry lies nowhere
        broken = shapely.is_missing(geometry) & frame[self.geometry].notna().to_numpy()
        frame[self.geometry] = pd.Series(geometry, dtype=object)
        wanted: pd.DataFrame = frame[_meets(geometry, boxes) | broken]
        return wanted


def _meets(geometry: NDArray[np.object_], boxes: Sequence[Bounds]) -> NDArray[np.bool_]:
    """Which geometries' bounding boxes meet one of `boxes`."""
    left, bottom, right, top = shapely.bounds(geometry).T
    found = np.zeros(len(geometry), dtype=bool)
    for west, south, east, north in boxes:
        found |= (left <= east) & (right >= west) & (bottom <= north) & (top >= south)
    return found
