"""Opening a cube: for people as xarray, for machines as one array through zarrs; always by the committed root."""

import math
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import zarr
from pydantic import ValidationError

from agri_assets.cube.pipeline import bulk_array, store_of, use_zarrs
from agri_assets.cube.schema import ATTRIBUTE, BANDS_ARRAY, CLASSES_ARRAY, CubeInfo, Slot
from agri_assets.errors import CubeError, StoreError
from agri_assets.objects import ObjectPath, locate
from agri_assets.store.commit import read_json

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "CubeInfo",
    "Slot",
    "cube_info",
    "open_array",
    "open_cube",
    "open_reflectance",
    "open_tiles",
    "read_block",
    "tiles_metadata",
    "use_zarrs",
]


def root_of(path: Path) -> dict[str, Any]:
    """The committed root document of a cube.

    Raises:
        CubeError: There is no cube, or it is not one of ours.
    """
    try:
        document: dict[str, Any] = read_json(path / "zarr.json")
    except StoreError as error:
        raise CubeError(f"{path}: no readable cube here ({error})") from None
    if ATTRIBUTE not in document.get("attributes", {}) or "consolidated_metadata" not in document:
        raise CubeError(f"{path}: not a cube of this project (no attribute {ATTRIBUTE!r} in zarr.json); check the path")
    return document


def cube_info(path: Path) -> CubeInfo:
    """The description of a cube: bands, units, sizes, grid and slots.

    Raises:
        CubeError: There is no cube, or its description cannot be read.
    """
    try:
        return CubeInfo.model_validate(root_of(path)["attributes"][ATTRIBUTE])
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise CubeError(f"{path}: its description is damaged at {where} ({problem['msg']}); build it again") from None


def open_array(path: Path, name: str) -> zarr.Array[Any]:
    """One array of a cube for bulk reads through zarrs, read-only, as long as its committed slots.

    Index every axis with slices: `a[0]` reads at a quarter of the rate of `a[0:1]`.

    Raises:
        CubeError: There is no such cube or array, or zarrs cannot serve it.
    """
    metadata = root_of(path)["consolidated_metadata"]["metadata"]
    if name not in metadata:
        raise CubeError(f"{path}: holds no array {name!r}; it holds {', '.join(metadata)}")
    return bulk_array(path, name, metadata[name], read_only=True)


def open_reflectance(path: Path) -> zarr.Array[Any]:
    """The pixels (time, band, y, x), uint16, for bulk reads through zarrs; see `open_array`."""
    return open_array(path, BANDS_ARRAY)


def open_tiles(path: Path) -> zarr.Array[Any]:
    """The pixels as tiles in a row, (time, tile of the shard, row of shards, column of shards * pixels of a tile).

    An array that is stored nowhere, over the files of the cube: its inner chunks hold the same bytes under the same
    keys, and so a whole shard is decoded into one tile behind the other instead of being scattered over a map, row of
    pixels by row of pixels. Tiles of a shard are numbered row by row; beyond the cube's edge they are 0.

    Raises:
        CubeError: There is no such cube, or zarrs cannot serve it.
    """
    return bulk_array(path, BANDS_ARRAY, tiles_metadata(path), read_only=True)


def tiles_metadata(path: Path) -> dict[str, Any]:
    """The metadata document of the array of `open_tiles`.

    Raises:
        CubeError: There is no such cube.
    """
    metadata: dict[str, Any] = deepcopy(root_of(path)["consolidated_metadata"]["metadata"][BANDS_ARRAY])
    sharding = metadata["codecs"][0]["configuration"]
    outer = metadata["chunk_grid"]["configuration"]
    (time, _, height, width), shard, inner = metadata["shape"], outer["chunk_shape"], sharding["chunk_shape"]
    tiles, pixels = (shard[2] // inner[2]) * (shard[3] // inner[3]), math.prod(inner)
    metadata["shape"] = [time, tiles, -(-height // shard[2]), -(-width // shard[3]) * pixels]
    outer["chunk_shape"], sharding["chunk_shape"] = [1, tiles, 1, pixels], [1, 1, 1, pixels]
    metadata.update(dimension_names=None, attributes={})
    return metadata


def read_block(array: zarr.Array[Any], slot: int, y: int, x: int, shape: tuple[int, int]) -> npt.NDArray[Any]:
    """Pixels of one slot from (y, x) on, (band, height, width), or (height, width) of an array without bands.

    Raises:
        CubeError: A shard is damaged.
    """
    depth = [slice(None)] * (array.ndim - 3)
    place = (slice(slot, slot + 1), *depth, slice(y, y + shape[0]), slice(x, x + shape[1]))
    try:
        block: npt.NDArray[Any] = np.asarray(array[place])[0]
    except RuntimeError as error:
        # zarrs has no error classes of its own: a flipped bit or a truncated shard ends here
        where = f"{array.store_path}, slot {slot}, y={y}, x={x}"
        raise CubeError(f"{where}: cannot be decoded ({error}); find the damage with `agri-assets verify`") from None
    return block


def open_cube(path: Path | str) -> "xr.Dataset":
    """The cube as a lazy dataset: shard-sized Dask chunks, dates in order, inactive slots left out.

    Raises:
        CubeError: There is no cube.
    """
    # here and not above: loaders' workers import this module and need no xarray
    import xarray as xr

    path = locate(path)
    info = cube_info(path)
    chunks = {"time": 1, "band": -1, "y": info.shard_size, "x": info.shard_size}
    dataset: xr.Dataset = xr.open_zarr(store_of(path, read_only=True), chunks=chunks, consolidated=True)
    if isinstance(path, ObjectPath):
        import dask.array

        # xarray would ask for the chunks of a shard one by one
        for name, sizes in {one: dataset[one].chunks for one in (BANDS_ARRAY, CLASSES_ARRAY) if one in dataset}.items():
            dataset[name].data = dask.array.from_array(open_array(path, name), chunks=sizes, name=False)  # type: ignore[no-untyped-call]
    return dataset.isel(time=[slot.slot for slot in info.active])
