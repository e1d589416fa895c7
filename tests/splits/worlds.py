"""Small made worlds for tests of splits and loading: real cubes, indexes, catalogue and receipts, no scenes."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from agri_assets.config import Collection
from agri_assets.cube.commit import commit_root, find_root, write_coordinates
from agri_assets.cube.index import arrange, index_digest, write_index
from agri_assets.cube.positions import ground
from agri_assets.cube.schema import BANDS_ARRAY, CubeInfo, Slot, shard_size
from agri_assets.cube.shards import ShardWriter
from agri_assets.cube.zarr_metadata import root_document
from agri_assets.scenes.grid import TileGrid, tile_id
from agri_assets.store.commit import write_json
from agri_assets.store.layout import ARCHIVE_TILE, CollectionPaths
from agri_assets.store.receipt import Outcome

DATES = ("2023-06-01", "2023-08-15")


def utm_grid(zone: int, left: float, top: float, pixels: int, width: int | None = None) -> TileGrid:
    return TileGrid(
        crs=f"EPSG:{32600 + zone}", transform=(10.0, 0.0, left, 0.0, -10.0, top), height=pixels, width=width or pixels
    )


def scene_index(tile: str, grid: TileGrid, tile_size: int, resolution: int, dates=DATES, seed: int = 0) -> pd.DataFrame:
    """An index with a made label per position: the same at every date, and a few unusable samples."""
    rows, cols = grid.positions(tile_size)
    place = ground(grid, tile_size, resolution)
    row, col = (axis.ravel() for axis in np.mgrid[:rows, :cols])
    random = np.random.default_rng(seed)
    cropland = random.random(len(row)).astype(np.float32)
    label = pd.array(np.where(cropland >= 0.5, 1, 0), dtype="Int8")
    label[(cropland > 0.4) & (cropland < 0.5)] = pd.NA
    frames = []
    for slot, date in enumerate(dates):
        clear = np.where(random.random(len(row)) < 0.1, 0.3, 1.0)
        frames.append(
            pd.DataFrame(
                {
                    "tile": tile,
                    "tile_id": [tile_id(tile, r, c) for r, c in zip(row.tolist(), col.tolist(), strict=True)],
                    "date": date,
                    "scene_id": f"S2A_{tile}_{date}",
                    "slot": slot,
                    "row": row,
                    "col": col,
                    "valid_fraction": np.where(random.random(len(row)) < 0.02, 0.5, 1.0),
                    "clear_fraction": clear,
                    "cropland_fraction": cropland,
                    "purity": np.maximum(cropland, 1 - cropland),
                    "labelled_fraction": 1.0,
                    "label": label,
                    "ambiguous": (cropland > 0.4) & (cropland < 0.5),
                    "cell": place.cell,
                    "owner": place.owner,
                    "class_name": None,
                    "listed": None,
                    "group": None,
                    "name": None,
                }
            )
        )
    frame = pd.concat(frames, ignore_index=True)
    geometry = gpd.GeoSeries(np.tile(place.geometry, len(dates)), crs="EPSG:4326")
    order = frame.sort_values(["row", "col", "date"], kind="stable").index
    return gpd.GeoDataFrame(arrange(frame), geometry=geometry[order].reset_index(drop=True))


def write_cube(path: Path, info: CubeInfo, pixels: np.ndarray) -> None:
    """Write a cube from its pixels, (slots, bands, height, width)."""
    document = root_document(info)
    for slot in range(len(info.slots)):
        writer = ShardWriter.open(path, BANDS_ARRAY, slot, info, document)
        for y, x in info.shards:
            height, width = info.shard_shape(y, x)
            writer.write(y, x, np.ascontiguousarray(pixels[slot, :, y : y + height, x : x + width]))
    write_coordinates(path, info, document)
    commit_root(find_root(path), document)


def made_pixels(shape: tuple[int, ...], high: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, high, shape, dtype=np.uint16)


@dataclass
class World:
    """One collection of scenes on disk."""

    root: Path
    grids: dict[str, TileGrid]
    tile_size: int = 32
    bands: tuple[str, ...] = ("B04", "B08")
    split: dict[str, Any] = field(default_factory=dict)
    pixels: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def paths(self) -> CollectionPaths:
        return CollectionPaths(self.root, "made")

    @property
    def collection(self) -> Collection:
        return Collection.model_validate(
            {
                "name": "made",
                "source": {"kind": "safe", "path": str(self.root)},
                "bands": self.bands,
                "tile_size": self.tile_size,
                "labels": {"kind": "worldcover", "path": str(self.root)},
                "split": self.split,
            }
        )

    @property
    def cubes(self) -> dict[str, Path]:
        return {tile: self.paths.cube(tile) for tile in self.grids}

    def build(self) -> "World":
        for number, tile in enumerate(self.grids):
            self.build_tile(tile, seed=number)
        self.write_catalog()
        return self

    def build_tile(self, tile: str, seed: int, dates=DATES) -> None:
        grid = self.grids[tile]
        self.write_tile_index(tile, seed, dates)
        slots = tuple(
            Slot(slot=k, date=date, scene_id=f"S2A_{tile}_{date}", fingerprint="", active=True, digest="")
            for k, date in enumerate(dates)
        )
        info = CubeInfo(
            tile=tile,
            bands=self.bands,
            units="reflectance",
            tile_size=self.tile_size,
            shard_size=shard_size(self.tile_size),
            height=grid.height,
            width=grid.width,
            grid=grid,
            slots=slots,
        )
        self.pixels[tile] = made_pixels((len(dates), len(self.bands), grid.height, grid.width), 10_000, seed)
        write_cube(self.paths.cube(tile), info, self.pixels[tile])

    def write_tile_index(self, tile: str, seed: int = 0, dates=DATES) -> None:
        index = scene_index(tile, self.grids[tile], self.tile_size, self.collection.split.resolution, dates, seed)
        write_index(self.paths.tiles(tile), index)
        self.write_receipt(tile, index_digest(index.drop(columns="geometry")))

    def write_receipt(self, tile: str, version: str) -> None:
        outcome = Outcome(path=self.paths.cube(tile), fingerprint="", data_version=version, summary="made")
        write_json(self.paths.receipt("tile_cube", tile), outcome.model_dump(mode="json"))

    def write_catalog(self, retired: tuple[str, ...] = ()) -> None:
        rows = [
            {
                "tile": tile,
                "status": "retired" if tile in retired else "active",
                "crs": grid.crs,
                **dict(zip("abcdef", grid.transform, strict=True)),
                "height": grid.height,
                "width": grid.width,
                "first_seen": "2023-01-01T00:00:00+00:00",
            }
            for tile, grid in self.grids.items()
        ]
        table = pa.Table.from_pylist(rows)
        for name in ("height", "width"):
            place = table.schema.get_field_index(name)
            table = table.set_column(place, name, table[name].cast(pa.int32()))
        pq.write_table(table, self.paths.catalog)


def two_tiles(root: Path) -> World:
    """Two tiles that overlap, as the sample scenes do: 31TCJ and 31TDJ share their east and west rims."""
    top = 4_900_000.0
    grids = {"31TCJ": utm_grid(31, 390_240.0, top, 1536), "31TDJ": utm_grid(31, 399_960.0, top, 1536)}
    return World(root, grids, split={"resolution": 7, "val": 0.2, "test": 0.2})


def made_archive(root: Path, lists: dict[str, str], count: int = 700) -> tuple[Collection, CollectionPaths]:
    """An archive collection: `lists` maps roles to what its list is called; names cycle over train, val and test."""
    source = {"kind": "archive", "path": str(root / "archive.zip"), **lists}
    labels = {"kind": "classes", "agricultural": ["Crop"]}
    split = {"val": 0.2, "test": 0.2}
    fields = {"name": "archived", "source": source, "labels": labels, "bands": ["B04"], "tile_size": 32, "split": split}
    collection, paths = Collection.model_validate(fields), CollectionPaths(root, "archived")
    edge, number = shard_size(32), np.arange(count)
    across = edge // 32
    role = np.array(["train", "train", "train", "val", "test"], dtype=object)[number % 5]
    frame = pd.DataFrame(
        {
            "tile": ARCHIVE_TILE,
            "tile_id": [tile_id(ARCHIVE_TILE, k // across, k % across) for k in number.tolist()],
            "date": None,
            "scene_id": ARCHIVE_TILE,
            "slot": 0,
            "row": number // across,
            "col": number % across,
            "valid_fraction": 1.0,
            "clear_fraction": 1.0,
            "cropland_fraction": float("nan"),
            "purity": float("nan"),
            "labelled_fraction": float("nan"),
            "label": number % 3 == 0,
            "ambiguous": False,
            "cell": [f"{k:064x}" for k in number.tolist()],
            "owner": ARCHIVE_TILE,
            "class_name": np.where(number % 3 == 0, "Crop", "Forest"),
            "listed": [name if name in lists else None for name in role],
            "name": [f"{k}.jpg" for k in number.tolist()],
            "group": None,
            "content": [f"{k:064x}" for k in number.tolist()],
        }
    ).astype({"label": "int8"})
    write_index(paths.tiles(ARCHIVE_TILE), arrange(frame, ("content",)))
    slot = Slot(slot=0, date=None, scene_id=ARCHIVE_TILE, fingerprint="", active=True, digest="")
    info = CubeInfo(
        tile=ARCHIVE_TILE,
        bands=("B04",),
        units="dn8",
        tile_size=32,
        shard_size=edge,
        height=-(-count // across) * 32,
        width=edge,
        grid=None,
        slots=(slot,),
    )
    write_cube(paths.cube(ARCHIVE_TILE), info, made_pixels((1, 1, info.height, info.width), 256))
    outcome = Outcome(path=paths.cube(ARCHIVE_TILE), fingerprint="", data_version="1", summary="made")
    write_json(paths.receipt("tile_cube", ARCHIVE_TILE), outcome.model_dump(mode="json"))
    return collection, paths
