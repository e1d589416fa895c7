"""The work of the stage `tile_cube`: new dates one after the other, then the index and what is told of it all."""

import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import geopandas as gpd

from agri_assets.config import Collection
from agri_assets.cube.commit import clear_uncommitted, find_root
from agri_assets.cube.damage import COORDINATES, damaged_slots, record_damage, recorded, unrecorded_slots
from agri_assets.cube.dated_index import DateRows, write_dated_index
from agri_assets.cube.land_index import scene_positions
from agri_assets.cube.land_shares import read_land_shares
from agri_assets.cube.masking import masked, with_mask
from agri_assets.cube.open import cube_info
from agri_assets.cube.samples import slot_samples
from agri_assets.cube.schema import CubeInfo, shard_size
from agri_assets.cube.slots import Wanted, append, commit, settle, wanted_dates
from agri_assets.cube.summary import BuildReport, cube_outcome
from agri_assets.cube.workers import workers_at
from agri_assets.errors import CubeError, IdentityError, SceneError, is_transient
from agri_assets.labels.settings import LandLabels
from agri_assets.scenes.catalog import catalog_tile
from agri_assets.scenes.inventory import read_inventory
from agri_assets.scenes.settings import CloudSettings
from agri_assets.store.commit import Guarded, sweep
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome

logger = logging.getLogger(__name__)


def update_cube(collection: Collection, paths: CollectionPaths, tile: str, inputs: str) -> Outcome:
    """Append what is missing and write the index; only who holds the cube's lock may call it.

    Args:
        collection: Whose cube.
        paths: Where its outputs are.
        tile: The MGRS tile.
        inputs: Fingerprint of all that the cube is made from.
    """
    started = time.monotonic()
    for target in (paths.tiles(tile), paths.receipt("tile_cube", tile)):
        sweep(target)
    with ThreadPoolExecutor(1) as pool:
        # what positions are depends on no date, and costs most of a second that decoding hides
        positions = pool.submit(_positions, collection, paths, tile)
        update = _update_pixels(collection, paths, tile)
        took = time.monotonic() - started
        dates = _date_rows(paths.cube(tile), update.info, collection.clouds)
        index = write_dated_index(paths.tiles(tile), positions.result(), dates)
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
    built: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    settled: bool = True


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
    damaged = damaged_slots(cube, before, before.slots) if before.slots else frozenset()
    info, missing, gone = settle(before, wanted_now, damaged)
    for slot in (slot for slot in info.active if slot.slot in damaged):
        logger.warning("%s %s: slot %d is damaged or lost; its date is built again", tile, slot.date, slot.slot)
    vanished = [
        f"{slot.date}: {slot.scene_id} is no longer in the inventory; its date was made inactive" for slot in gone
    ]
    if info.slots:
        _mend(root, info, damaged)
    update = _append(root, info, missing, collection) if missing else _Update(info)
    unknown = unrecorded_slots(cube, [slot for slot in update.info.active if slot.slot in damaged])
    active = [slot for slot in update.info.active if slot.slot not in unknown]
    if not active:
        raise CubeError(f"{tile}: none of {len(missing)} dates could be built; {update.refused[0]}")
    if unknown:
        update = replace(update, info=_without(root, update.info, unknown))
        vanished += [
            f"{slot.date}: {slot.scene_id} has lost its manifest or figures, and cannot be built again; its date was "
            "made inactive"
            for slot in before.slots
            if slot.slot in unknown
        ]
    return replace(update, vanished=tuple(vanished))


def _without(root: Guarded, info: CubeInfo, slots: frozenset[int]) -> CubeInfo:
    """The cube with some slots inactive, committed."""
    fewer = tuple(slot.model_copy(update={"active": slot.active and slot.slot not in slots}) for slot in info.slots)
    info = info.model_copy(update={"slots": fewer})
    commit(root, info)
    return info


def _append(root: Guarded, info: CubeInfo, missing: Sequence[Wanted], collection: Collection) -> _Update:
    built, refused = [], []
    settled = True
    with workers_at(collection.dask) as workers:
        if workers.apart and collection.clouds.mask != "scl":
            raise CubeError(
                f"{info.tile}: clouds.mask {collection.clouds.mask} is made on this machine, where the workers at "
                f"{collection.dask} do not see it; use dask: threads or processes, or mask: scl"
            )
        for wanted in missing:
            try:
                with masked(wanted, collection.clouds) as ready:
                    info = append(root, info, ready, collection.clouds, workers)
                built.append(wanted.date)
            except SceneError as error:
                refused.append(f"{wanted.date}: {wanted.scene_id} was refused: {error}")
                # a worker may lack what this host has: what it could not read is tried again
                settled = settled and not is_transient(error) and not workers.apart
    return _Update(info, tuple(built), tuple(refused), settled=settled)


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


def _positions(collection: Collection, paths: CollectionPaths, tile: str) -> gpd.GeoDataFrame:
    """What the tile index says of every position, whatever the date."""
    info = _existing(paths.cube(tile), collection) or _empty(collection, paths, tile)
    if not isinstance(collection.labels, LandLabels) or info.grid is None:
        raise CubeError(f"{collection.name}: is an archive; build it with build_archive_cube")
    land = read_land_shares(paths.land_cover(tile), info.grid, info.tile_size, collection.labels)
    return scene_positions(info, land, collection.labels, collection.split.resolution)


def _date_rows(cube: Path, info: CubeInfo, clouds: CloudSettings) -> Iterator[DateRows]:
    samples = slot_samples(cube, info, [slot.slot for slot in info.active], clouds)
    for slot, figures in zip(info.active, samples, strict=True):
        valid, clear = (figures[name].to_numpy() for name in ("valid_fraction", "clear_fraction"))
        yield DateRows(slot.slot, str(slot.date), slot.scene_id, valid, clear)
