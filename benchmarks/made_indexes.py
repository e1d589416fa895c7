"""Made tile indexes of full-size tiles, as many as wanted, and the stage `splits` over them without any pixel.

    python -m benchmarks.made_indexes FOLDER TILES DATES     makes them
    python -m benchmarks.made_indexes FOLDER                 runs the stage over them

The tiles lie side by side around the border of two UTM zones, so that they overlap as real ones do: within a zone by
10 km, across the border by all that two zones share. Labels and clouds are drawn at random.
"""

import sys
from pathlib import Path

import geopandas as gpd
import mgrs
import numpy as np
import numpy.typing as npt
import pandas as pd
from pyproj import Transformer

from agri_assets.config import Collection
from agri_assets.cube.index import DTYPES, write_index
from agri_assets.cube.positions import Ground, ground
from agri_assets.progress import track
from agri_assets.scenes.catalog import CatalogTile, write_catalog
from agri_assets.scenes.grid import TileGrid, tile_id
from agri_assets.scenes.tile_grid import SQUARE_M, nominal_grid
from agri_assets.splits.build import Made, assign_and_prove
from agri_assets.splits.inputs import split_inputs
from agri_assets.store.commit import staged, write_json
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome

NAME = "made"
RESOLUTION_M, TILE_SIZE, CELLS = 10.0, 64, 6
CENTRE = (6.0, 48.0)
"""Longitude and latitude around which tiles lie: where UTM zones 31 and 32 meet."""

ZONES = (30, 31, 32, 33)
SQUARES = range(2, 8)
"""Columns of 100 km squares that touch a zone at this latitude."""

ROWS = range(44, 64)
"""Rows of 100 km squares, counted from the equator."""


def write_made_indexes(root: Path, tiles: int, dates: int) -> tuple[Collection, CollectionPaths]:
    """Write catalogue, tile indexes and receipts of a collection of scenes below a data root.

    Args:
        root: The data root; what it holds stays.
        tiles: How many tiles, up to a few hundred.
        dates: Rows per position.
    """
    collection, paths = made_collection(root)
    names = nearest_tiles(tiles)
    for number, name in enumerate(track(names, "made indexes", tiles, "tiles")):
        grid = nominal_grid(name, RESOLUTION_M)
        write_index(paths.tiles(name), _index(name, grid, dates, np.random.default_rng(number)))
        paths.cube(name).mkdir(parents=True, exist_ok=True)
        receipt = Outcome(path=paths.cube(name), fingerprint="", data_version=f"{number}-{dates}", summary="made")
        write_json(paths.receipt("tile_cube", name), receipt.model_dump(mode="json"))
    write_catalog(paths.catalog, [CatalogTile(name, True, nominal_grid(name, RESOLUTION_M)) for name in names])
    return collection, paths


def made_collection(root: Path) -> tuple[Collection, CollectionPaths]:
    """The collection that `write_made_indexes` writes."""
    fields = {
        "name": NAME,
        "source": {"kind": "safe", "path": str(root)},
        "bands": ["B04", "B08"],
        "tile_size": TILE_SIZE,
        "labels": {"kind": "worldcover", "path": str(root)},
        "split": {"resolution": CELLS},
    }
    return Collection.model_validate(fields), CollectionPaths(root, NAME)


def run_splits(collection: Collection, paths: CollectionPaths) -> Made:
    """The stage `splits` over made indexes: all of it but the statistics of the train pixels, which are not there."""
    inputs = split_inputs(collection, paths)
    with staged(paths.assignments) as file:
        return assign_and_prove(collection, paths, inputs, file)


def nearest_tiles(count: int) -> list[str]:
    """Names of the tiles that lie nearest to `CENTRE`, in order of name."""
    namer, found = mgrs.MGRS(), {}
    for zone in ZONES:
        here = Transformer.from_crs("EPSG:4326", f"EPSG:{32600 + zone}", always_xy=True).transform(*CENTRE)
        for east in SQUARES:
            for north in ROWS:
                x, y = (east + 0.5) * SQUARE_M, (north + 0.5) * SQUARE_M
                name = namer.UTMToMGRS(zone, "N", x, y, MGRSPrecision=0)
                found[name] = float(np.hypot(x - here[0], y - here[1]))
    return sorted(sorted(found, key=lambda name: (found[name], name))[:count])


def _index(tile: str, grid: TileGrid, dates: int, random: np.random.Generator) -> pd.DataFrame:
    """The index of one tile, in its order: by position, then by date."""
    rows, cols = grid.positions(TILE_SIZE)
    place, days = ground(grid, TILE_SIZE, CELLS), np.arange(dates)
    row, col = (axis.ravel() for axis in np.mgrid[:rows, :cols])
    cropland = random.random(len(row)).astype(np.float32)
    names = [tile_id(tile, r, c) for r, c in zip(row.tolist(), col.tolist(), strict=True)]
    by_position = {
        **{"row": row, "col": col, "tile_id": names, "cell": place.cell, "owner": place.owner},
        **{"cropland_fraction": cropland, "purity": np.maximum(cropland, 1 - cropland)},
        **{"label": _labels(cropland), "ambiguous": (cropland > 0.4) & (cropland < 0.5)},
    }
    frame = pd.DataFrame(by_position).loc[np.repeat(np.arange(len(row)), dates)].reset_index(drop=True)
    frame = frame.assign(tile=tile, slot=np.tile(days, len(row)), labelled_fraction=1.0)
    frame["date"] = np.tile((np.datetime64("2023-01-01") + 5 * days).astype(str).astype(object), len(row))
    frame["scene_id"] = "S2A_" + tile + "_" + frame["date"]
    frame["valid_fraction"] = np.where(random.random(len(frame)) < 0.02, 0.5, 1.0)
    frame["clear_fraction"] = np.where(random.random(len(frame)) < 0.1, 0.3, 1.0)
    frame[["class_name", "listed", "name", "group"]] = None
    return _with_geometry(frame[list(DTYPES)].astype(DTYPES), place, dates)


def _labels(cropland: npt.NDArray[np.float32]) -> pd.api.extensions.ExtensionArray:
    label = pd.array((cropland >= 0.5).astype(np.int8), dtype="Int8")
    label[(cropland > 0.4) & (cropland < 0.5)] = pd.NA
    return label


def _with_geometry(frame: pd.DataFrame, place: Ground, dates: int) -> pd.DataFrame:
    placed: pd.DataFrame = gpd.GeoDataFrame(frame, geometry=np.repeat(place.geometry, dates), crs="EPSG:4326")
    return placed


def main(arguments: list[str]) -> None:
    """Make indexes, or run the stage over them."""
    root = Path(arguments[0])
    if len(arguments) > 1:
        write_made_indexes(root, int(arguments[1]), int(arguments[2]))
    else:
        print(run_splits(*made_collection(root)).proved.tally.roles)


if __name__ == "__main__":
    main(sys.argv[1:])
