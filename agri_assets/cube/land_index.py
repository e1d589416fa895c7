"""What the tile index of scenes says of positions whatever the date: land cover, labels and the ground."""

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

from agri_assets.cube.dated_index import DATED
from agri_assets.cube.index import DTYPES
from agri_assets.cube.land_shares import LandShares
from agri_assets.cube.positions import ground
from agri_assets.cube.schema import CubeInfo
from agri_assets.errors import CubeError
from agri_assets.labels.settings import LandLabels
from agri_assets.scenes.grid import tile_id


def scene_positions(info: CubeInfo, land: LandShares, labels: LandLabels, resolution: int) -> gpd.GeoDataFrame:
    """One row for every whole position of a scene cube, row by row, without what differs between dates.

    Args:
        info: The cube.
        land: Land cover per position.
        labels: Thresholds of the labels.
        resolution: Of the H3 cells.
    """
    if info.grid is None:
        raise CubeError(f"{info.tile}: has no grid; an archive's index is made from its images")
    rows, cols = info.grid.positions(info.tile_size)
    place = ground(info.grid, info.tile_size, resolution)
    row, col = (axis.ravel() for axis in np.indices((rows, cols)))
    label, ambiguous = label_positions(land, labels)
    frame = gpd.GeoDataFrame(
        {
            "tile": info.tile,
            "tile_id": [tile_id(info.tile, int(y), int(x)) for y, x in zip(row, col, strict=True)],
            "row": row,
            "col": col,
            "cropland_fraction": land.cropland,
            "purity": land.purity,
            "labelled_fraction": land.labelled,
            "label": label,
            "ambiguous": ambiguous,
            "cell": place.cell,
            "owner": place.owner,
            "class_name": land.majority,
            "listed": None,
            "group": None,
            "name": None,
        },
        geometry=place.geometry,
        crs="EPSG:4326",
    )
    types = {name: dtype for name, dtype in DTYPES.items() if name not in DATED}
    return frame[[*types, "geometry"]].astype(types)


def label_positions(land: LandShares, labels: LandLabels) -> tuple[pd.arrays.IntegerArray, npt.NDArray[np.bool_]]:
    """The label of each position, missing where there is none, and which of these are ambiguous.

    A position with too few pixels that have a class gets no label and is not ambiguous: nothing is known of it. Of the
    others those between the two thresholds are ambiguous.
    """
    known = (land.labelled >= labels.min_labelled) & ~np.isnan(land.cropland)
    positive, negative = land.cropland >= labels.positive, land.cropland <= labels.negative
    label = pd.array(positive.astype(np.int8), dtype="Int8")
    label[~(known & (positive | negative))] = pd.NA
    return label, known & ~positive & ~negative


def label_counts(positions: pd.DataFrame) -> dict[str, int]:
    """How many positions are agricultural, other, ambiguous, and without a label.

    Args:
        positions: One row for each.
    """
    label, ambiguous = positions["label"], positions["ambiguous"].astype(bool)
    return {
        "agricultural": int((label == 1).sum()),
        "other": int((label == 0).sum()),
        "ambiguous": int(ambiguous.sum()),
        "unlabelled": int((label.isna() & ~ambiguous).sum()),
    }
