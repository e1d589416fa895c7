"""The stage that appends a tile's new dates to its cube and rewrites its tile index."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

from agri_assets.config import Collection
from agri_assets.cube.commit import clear_uncommitted, find_root
from agri_assets.cube.damage import COORDINATES, damaged_slots, record_damage, recorded
from agri_assets.cube.dated_index import DatedIndex, DateRows, write_dated_index
from agri_assets.cube.land_index import scene_positions
from agri_assets.cube.land_shares import read_land_shares
from agri_assets.cube.masking import masked, with_mask
from agri_assets.cube.open import cube_info
from agri_assets.cube.samples import slot_samples
from agri_assets.cube.schema import CubeInfo, Slot, shard_size
from agri_assets.cube.slots import append, commit, settle, wanted_dates
from agri_assets.cube.summary import BuildReport, cube_outcome
from agri_assets.errors import CubeError, IdentityError, SceneError, StoreError, is_transient
from agri_assets.labels.settings import LandLabels
from agri_assets.scenes.catalog import catalog_tile
from agri_assets.scenes.identity import guard_identity
from agri_assets.scenes.inventory import read_inventory
from agri_assets.scenes.settings import CloudSettings
from agri_assets.store.commit import Guarded, locked, sweep
from agri_assets.store.fingerprint import fingerprint
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, read_outcome, run_stage

logger = logging.getLogger(__name__)

CODE_VERSION = "4"
"""Raised when the same cube would get another index."""


def build_cube(collection: Collection, paths: CollectionPaths, tile: str) -> Outcome:
    """Append the dates of a tile's inventory that its cube lacks, and write its tile index.

    A scene that cannot be read is refused with its reason and the others go on; one that its host did not give is tried
    again at the next materialisation. Dates that were found damaged are built again from their scenes. Where only land
    cover or settings of labels, clouds or cells changed, only the index is written.

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

    return run_stage(
        paths.receipt("tile_cube", tile),
        inputs,
        lambda: _build(collection, paths, tile, inputs),
        f"{collection.name}/tile_cube {tile}",
        again=_is_damaged(paths.cube(tile)),
        lock=lambda: locked(paths.cube(tile), f"the cube of {tile}"),
    )


def _build(collection: Collection, paths: CollectionPaths, tile: str, inputs: str) -> Outcome:
    started = time.monotonic()
    for target in (paths.tiles(tile), paths.receipt("tile_cube", tile)):
        sweep(target)
    update = _update_pixels(collection, paths, tile)
    took = time.monotonic() - started
    index = _write_index(collection, paths, tile, update.info)
    report = BuildReport(
        info=update.info,
        index=index.digest,
        built=update.built,
        refused=update.refused,
        vanished=update.vanished,
        seconds=took,
        settled=update.settled,
    )
    return cube_outcome(paths, tile, report, index, inputs)


@dataclass(frozen=True)
class _Update:
    info: CubeInfo
    built: tuple[str, ...]
    refused: tuple[str, ...]
    vanished: tuple[str, ...]
    settled: bool


def _update_pixels(collection: Collection, paths: CollectionPaths, tile: str) -> _Update:
    """Bring the time axis up to date, one committed date after the other."""
    cube = paths.cube(tile)
    records = read_inventory(paths, tile).present
    if not records:
        raise CubeError(f"{tile}: the inventory holds no usable scene; see the reasons in the metadata of raw_scenes")
    root = find_root(cube)
    clear_uncommitted(cube)
    before = _existing(cube, collection) or _empty(collection, paths, tile)
    wanted_now = with_mask(wanted_dates(records, before), collection.clouds)
    damaged = damaged_slots(cube, before) if before.slots else frozenset()
    info, missing, gone = settle(before, wanted_now, damaged)
    for slot in (slot for slot in before.slots if slot.slot in damaged):
        logger.warning("%s %s: slot %d is damaged or lost; its date is built again", tile, slot.date, slot.slot)
    vanished = [
        f"{slot.date}: {slot.scene_id} is no longer in the inventory; its date was made inactive" for slot in gone
    ]
    if info.slots:
        _mend(root, info, damaged)
    built, refused = [], []
    settled = True
    for wanted in missing:
        try:
            with masked(wanted, collection.clouds) as ready:
                info = append(root, info, ready, collection.clouds)
            built.append(wanted.date)
        except SceneError as error:
            refused.append(f"{wanted.date}: {wanted.scene_id} was refused: {error}")
            settled = settled and not is_transient(error)
    if not info.active:
        raise CubeError(f"{tile}: none of {len(missing)} dates could be built; {refused[0]}")
    return _Update(info, tuple(built), tuple(refused), tuple(vanished), settled)


def _is_damaged(cube: Path) -> bool:
    there = (cube / "zarr.json").exists()
    return there and (COORDINATES in recorded(cube) or bool(damaged_slots(cube, cube_info(cube))))


def _mend(root: Guarded, info: CubeInfo, damaged: frozenset[int]) -> None:
    """Mend coordinates that are damaged, and arrays' own metadata where a build was killed right after its commit."""
    cube = root.path.parent
    broken = COORDINATES in recorded(cube)
    commit(root, info, mend=broken)
    if broken:
        record_damage(cube, {slot.slot: slot for slot in info.slots if slot.slot in damaged})


def _existing(cube: Path, collection: Collection) -> CubeInfo | None:
    if not (cube / "zarr.json").exists():
        return None
    info = cube_info(cube)
    if (info.bands, info.tile_size) != (collection.bands, collection.tile_size):
        raise IdentityError(
            f"{cube}: was built with bands {', '.join(info.bands)} and tile_size {info.tile_size}, which "
            f"{collection.name} no longer has; restore them, rename the collection or delete its cubes"
        )
    return info.model_copy(update={"resampling": collection.resampling})


def _empty(collection: Collection, paths: CollectionPaths, tile: str) -> CubeInfo:
    """The cube before its first date, on the tile's grid, all of which or part of which its scenes cover."""
    grid = catalog_tile(paths, tile).grid
    return CubeInfo(
        tile=tile,
        bands=collection.bands,
        units="reflectance",
        tile_size=collection.tile_size,
        shard_size=shard_size(collection.tile_size),
        height=grid.height,
        width=grid.width,
        grid=grid,
        resampling=collection.resampling,
    )


def _write_index(collection: Collection, paths: CollectionPaths, tile: str, info: CubeInfo) -> DatedIndex:
    if not isinstance(collection.labels, LandLabels) or info.grid is None:
        raise CubeError(f"{collection.name}: is an archive; build it with build_archive_cube")
    land = read_land_shares(paths.land_cover(tile), info.grid, info.tile_size, collection.labels)
    positions = scene_positions(info, land, collection.labels, collection.split.resolution)
    dates = (_date_rows(paths.cube(tile), info, slot, collection.clouds) for slot in info.active)
    return write_dated_index(paths.tiles(tile), positions, dates)


def _date_rows(cube: Path, info: CubeInfo, slot: Slot, clouds: CloudSettings) -> DateRows:
    figures = slot_samples(cube, info, slot.slot, clouds)
    valid, clear = (figures[name].to_numpy() for name in ("valid_fraction", "clear_fraction"))
    return DateRows(slot.slot, str(slot.date), slot.scene_id, valid, clear)


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
