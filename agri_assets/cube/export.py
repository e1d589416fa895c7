"""One date of a cube as a cloud-optimised GeoTIFF, for tools that cannot read sharded Zarr (GDAL before 3.13)."""

from pathlib import Path

import rasterio
from rasterio.errors import RasterioError
from rasterio.io import DatasetWriter
from rasterio.shutil import copy
from rasterio.windows import Window

from agri_assets.cube.open import cube_info, open_reflectance, read_block
from agri_assets.cube.raster import CUBE_SCALE
from agri_assets.cube.schema import CubeInfo, Slot
from agri_assets.cube.verify import verify_slot
from agri_assets.errors import CubeError
from agri_assets.progress import track
from agri_assets.scenes.grid import TileGrid
from agri_assets.store.commit import staged

BLOCK_PIXELS = 512
COMPRESSION = {"compress": "deflate", "predictor": 2, "bigtiff": "if_safer"}


def export_cog(cube: Path, date: str, out: Path) -> None:
    """Write all bands of one date as a COG on the cube's own grid: uint16, nodata 0, scale 0.0001, bands named.

    Args:
        cube: The cube.
        date: Day of acquisition, such as `2023-08-15`.
        out: The file to write; replaced if it exists.

    Raises:
        CubeError: There is no such cube or date, it has no place on the ground, or the file cannot be written.
    """
    info = cube_info(cube)
    if info.grid is None:
        raise CubeError(f"{cube}: is an archive of samples without coordinates; only scenes can be exported")
    slot = _slot_of(cube, info, date)
    if out.is_dir():
        raise CubeError(f"{out} is a folder; name the GeoTIFF file to write in it")
    if problems := verify_slot(cube, info, slot):
        raise CubeError(f"{problems[0]}; {len(problems)} in all, nothing exported: materialise tile_cube again")
    try:
        with staged(out) as staging, staged(out.with_name(f"{out.name}.tiled.tif")) as tiled:
            _write_tiled(cube, info, info.grid, slot, tiled)
            copy(tiled, staging, driver="COG", blocksize=BLOCK_PIXELS, overviews="auto", **COMPRESSION)
    except (RasterioError, OSError) as error:
        raise CubeError(f"{out}: cannot be written ({error}); check the folder and the space on its disk") from None
    finally:
        out.with_name(f"{out.name}.tiled.tif").unlink(missing_ok=True)


def _slot_of(cube: Path, info: CubeInfo, date: str) -> Slot:
    for slot in info.active:
        if slot.date == date:
            return slot
    raise CubeError(f"{cube}: holds no date {date}; it holds {', '.join(str(slot.date) for slot in info.active)}")


def _write_tiled(cube: Path, info: CubeInfo, grid: TileGrid, slot: Slot, path: Path) -> None:
    """A tiled GeoTIFF, shard by shard, so that memory does not grow with the tile."""
    profile = {
        **{"driver": "GTiff", "dtype": "uint16", "nodata": 0, "count": len(info.bands)},
        **{"height": info.height, "width": info.width},
        **{"crs": grid.crs, "transform": rasterio.Affine(*grid.transform)},
        **{"tiled": True, "blockxsize": BLOCK_PIXELS, "blockysize": BLOCK_PIXELS, "interleave": "pixel", **COMPRESSION},
    }
    with rasterio.open(path, "w", **profile) as dataset:
        _describe(dataset, info, slot)
        array = open_reflectance(cube)
        for y, x in track(info.shards, f"{info.tile} {slot.date}: exporting", len(info.shards), "shards"):
            height, width = info.shard_shape(y, x)
            dataset.write(read_block(array, slot.slot, y, x, (height, width)), window=Window(x, y, width, height))


def _describe(dataset: DatasetWriter, info: CubeInfo, slot: Slot) -> None:
    dataset.update_tags(TILE=info.tile, DATE=slot.date, SCENE_ID=slot.scene_id, UNITS=info.units)
    dataset.descriptions = info.bands
    if info.units == "reflectance":
        dataset.scales = (CUBE_SCALE,) * len(info.bands)
