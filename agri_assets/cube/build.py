"""The stage that appends a tile's new dates to its cube and rewrites its tile index."""

from agri_assets.config import Collection
from agri_assets.cube.damage import COORDINATES, damaged_slots, recorded
from agri_assets.cube.index_slots import index_is_current
from agri_assets.cube.open import cube_info
from agri_assets.errors import CubeError, StoreError
from agri_assets.scenes.identity import guard_identity
from agri_assets.store.commit import locked
from agri_assets.store.fingerprint import fingerprint
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, read_outcome, run_stage

CODE_VERSION = "4"
"""Raised when the same cube would get another index."""


def build_cube(collection: Collection, paths: CollectionPaths, tile: str) -> Outcome:
    """Append the dates of a tile's inventory that its cube lacks, and write its tile index.

    A scene that cannot be read is refused with its reason and the others go on; one that its host did not give is tried
    again at the next materialisation. Dates that were found damaged are built again from their scenes. Where only land
    cover or settings of labels, clouds or cells changed, or the index is not about the cube as it is now, only the
    index is written.

    Raises:
        CubeError: An upstream output is missing, or not one scene could be read.
        IdentityError: Bands or tile size changed over an existing cube.
        StoreError: Another process is building this cube.
    """
    guard_identity(collection, paths)
    inputs = fingerprint(
        raw_scenes=_upstream(paths, "raw_scenes", tile),
        land_cover=_upstream(paths, "land_cover", tile),
        bands=collection.bands,
        tile_size=collection.tile_size,
        resampling=collection.resampling,
        labels=collection.labels,
        clouds=collection.clouds,
        resolution=collection.split.resolution,
        code=CODE_VERSION,
    )

    def work() -> Outcome:
        # here and not above: a cube that is up to date needs none of what reads and writes pixels
        from agri_assets.cube.update import update_cube

        return update_cube(collection, paths, tile, inputs)

    return run_stage(
        paths.receipt("tile_cube", tile),
        inputs,
        work,
        f"{collection.name}/tile_cube {tile}",
        again=_must_be_mended(paths, tile),
        lock=lambda: locked(paths.cube(tile), f"the cube of {tile}"),
    )


def _must_be_mended(paths: CollectionPaths, tile: str) -> bool:
    """Whether there is a cube that is damaged, or that the tile index beside it does not describe."""
    cube = paths.cube(tile)
    if not (cube / "zarr.json").exists():
        return False
    info = cube_info(cube)
    damaged = COORDINATES in recorded(cube) or bool(damaged_slots(cube, info))
    return damaged or not index_is_current(paths.tiles(tile), info)


def _upstream(paths: CollectionPaths, asset: str, tile: str) -> str:
    """The data version of what this stage is made from."""
    receipt = paths.receipt(asset, tile)
    try:
        return read_outcome(receipt).data_version
    except StoreError:
        raise CubeError(
            f"{receipt}: {asset} of {tile} is not there; run `dagster asset materialize -m agri_assets.definitions "
            f"--select key:{paths.collection}/{asset} --partition {tile}`"
        ) from None
