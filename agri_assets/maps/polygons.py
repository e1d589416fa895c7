"""The map as a table of polygons: one row per mapped position, for tools that join tables rather than read rasters."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from agri_assets.maps.raster import AGRICULTURAL
from agri_assets.store.commit import staged

COLUMNS = ("tile_id", "date", "row", "col", "clear_fraction")
"""What a row tells of its position, besides `probability`, `agricultural` and `geometry`."""


def write_polygons(
    path: Path, rows: pd.DataFrame, probability: npt.NDArray[np.float64], classes: npt.NDArray[np.uint8]
) -> None:
    """Write the mapped positions as GeoParquet (EPSG:4326), atomically.

    Args:
        path: Where to.
        rows: Rows of the tile index, with their outlines as WKB.
        probability: (rows, columns) of positions.
        classes: The same of the map's classes.
    """
    place = rows["row"].to_numpy(), rows["col"].to_numpy()
    table = rows[list(COLUMNS)].reset_index(drop=True)
    told = table.assign(probability=probability[place], agricultural=classes[place] == AGRICULTURAL)
    outlines = gpd.GeoSeries(shapely.from_wkb(rows["geometry"].to_numpy()), crs="EPSG:4326")
    with staged(path) as staging:
        gpd.GeoDataFrame(told, geometry=outlines).to_parquet(staging, index=False)
