"""The stage that makes a labelled archive into a cube with its tile index."""

import hashlib
from pathlib import Path

import pandas as pd
import shapely

from agri_assets.config import Collection
from agri_assets.cube.archive_cube import write_archive
from agri_assets.cube.archive_files import open_archive
from agri_assets.cube.archive_index import CONTENT, ArchiveIndex, archive_index, listed_roles
from agri_assets.cube.archive_lists import list_files
from agri_assets.cube.archive_names import read_names
from agri_assets.cube.damage import COORDINATES, damaged_slots, record_damage, recorded
from agri_assets.cube.index import index_digest, write_index
from agri_assets.cube.index_slots import index_is_current
from agri_assets.cube.manifest import manifest_path, read_manifest, samples_path
from agri_assets.cube.open import cube_info, open_reflectance, read_block
from agri_assets.cube.pictures import stretch, true_colour, write_picture
from agri_assets.errors import ArchiveError
from agri_assets.labels.settings import ClassLabels
from agri_assets.objects import file_of
from agri_assets.scenes.identity import guard_identity
from agri_assets.scenes.settings import ArchiveSource
from agri_assets.store.commit import locked, sweep
from agri_assets.store.fingerprint import file_digest, file_stamp, fingerprint
from agri_assets.store.layout import ARCHIVE_TILE, CollectionPaths
from agri_assets.store.receipt import Outcome, Table, run_stage

CODE_VERSION = "3"
"""Raised when the same archive would make another index."""

PIXELS_VERSION = "2"
"""Raised when the same archive would make other pixels, or another table of samples beside them."""


def build_archive_cube(collection: Collection, paths: CollectionPaths) -> Outcome:
    """Build the cube of an archive collection, or only its index where only lists or labels changed.

    Raises:
        ArchiveError: The archive, its classes or its lists cannot be used; what was there before stays.
        IdentityError: Bands or tile size changed over an existing cube.
        StoreError: Another process is building it.
    """
    guard_identity(collection, paths)
    source, labels = _settings(collection)
    if not source.path.exists():
        raise ArchiveError(
            f"{source.path}: no such file or directory; point the collection's source.path at the archive"
        )
    lists = list_files(source)
    missing = [path for path in lists.values() if not path.is_file()]
    if missing:
        raise ArchiveError(f"{missing[0]}: no such list file; correct the collection's source or leave the list out")
    pixels = fingerprint(
        archive=file_stamp(source.path), bands=collection.bands, tile_size=collection.tile_size, code=PIXELS_VERSION
    )
    digests = {role: file_digest(path) for role, path in lists.items()}
    inputs = fingerprint(
        pixels=pixels,
        lists=digests,
        labels=labels,
        pattern=source.pattern,
        resolution=collection.split.resolution,
        code=CODE_VERSION,
    )

    return run_stage(
        paths.receipt("tile_cube", ARCHIVE_TILE),
        inputs,
        lambda: _build(collection, paths, pixels, inputs),
        f"{collection.name}/tile_cube",
        again=_is_damaged(paths.cube(ARCHIVE_TILE)) or _is_unindexed(paths),
        lock=lambda: locked(paths.cube(ARCHIVE_TILE), f"the cube of {collection.name}"),
    )


def _settings(collection: Collection) -> tuple[ArchiveSource, ClassLabels]:
    if isinstance(collection.source, ArchiveSource) and isinstance(collection.labels, ClassLabels):
        return collection.source, collection.labels
    raise ArchiveError(f"{collection.name}: is a collection of scenes; build it with build_cube")


def _build(collection: Collection, paths: CollectionPaths, pixels: str, inputs: str) -> Outcome:
    source, labels = _settings(collection)
    cube = paths.cube(ARCHIVE_TILE)
    for target in (
        *(cube, samples_path(cube, 0), manifest_path(cube, 0), paths.tiles(ARCHIVE_TILE)),
        *(paths.receipt("tile_cube", ARCHIVE_TILE), _picture_path(paths)),
    ):
        sweep(target)
    fresh = not _is_whole(paths, pixels)
    if fresh:
        with open_archive(source.path) as archive:
            # before the images are decoded: a wrong list or name should not take minutes to be found
            listed_roles(archive.images, source, labels)
            read_names([image.relative for image in archive.images], source, collection.tile_size)
            write_archive(archive, cube, collection.bands, collection.tile_size, pixels)
        record_damage(cube, {})
    samples = pd.read_parquet(file_of(samples_path(cube, 0)))
    index = archive_index(samples, source, labels, collection.tile_size, collection.split.resolution)
    write_index(paths.tiles(ARCHIVE_TILE), index.frame)
    return _outcome(paths, index, inputs, fresh)


def _is_whole(paths: CollectionPaths, pixels: str) -> bool:
    """Whether the cube that is there was made whole from these pixels."""
    cube = paths.cube(ARCHIVE_TILE)
    # without a manifest, or with that of another build, it counts as damaged
    there = (cube / "zarr.json").exists() and not _is_damaged(cube)
    return there and cube_info(cube).slots[0].fingerprint == pixels


def _is_damaged(cube: Path) -> bool:
    """Whether it is there and must be made again."""
    there = (cube / "zarr.json").exists()
    return there and (COORDINATES in recorded(cube) or bool(damaged_slots(cube, cube_info(cube))))


def _is_unindexed(paths: CollectionPaths) -> bool:
    """Whether it is there without a tile index that describes it."""
    cube = paths.cube(ARCHIVE_TILE)
    return (cube / "zarr.json").exists() and not index_is_current(paths.tiles(ARCHIVE_TILE), cube_info(cube))


def _outcome(paths: CollectionPaths, made: ArchiveIndex, inputs: str, fresh: bool) -> Outcome:
    index, cube, tiles = made.frame, paths.cube(ARCHIVE_TILE), paths.tiles(ARCHIVE_TILE)
    info, manifest = cube_info(cube), read_manifest(manifest_path(cube, 0))
    positives = int((index["label"] == 1).sum())
    listed = index["listed"].value_counts()
    counts = {f"listed_{role}": int(count) for role, count in listed.items()}
    classes = index.groupby("class_name", observed=True).agg(tiles=("tile_id", "size"), label=("label", "first"))
    rows = tuple(
        {"class": str(name), "tiles": int(row.tiles), "agricultural": bool(row.label)}
        for name, row in classes.iterrows()
    )
    how = "built" if fresh else "pixels unchanged, index rebuilt"
    return Outcome(
        path=cube,
        fingerprint=inputs,
        data_version=fingerprint(index=_digest(index), bands=info.bands, units=info.units, tile_size=info.tile_size),
        summary=f"{len(index)} tiles of {len(rows)} classes, {positives} agricultural ({how})",
        metadata={
            "tiles": len(index),
            "classes": len(rows),
            "agricultural": positives,
            "on_known_ground": int(index["geometry"].notna().sum()) if "geometry" in index else 0,
            "groups": int(index["group"].nunique()),
            "dates": int(index["date"].nunique()),
            "units": info.units,
            "index": str(tiles),
            "stored_mb": round(manifest.stored_bytes / 1e6, 1),
            **counts,
        },
        tables={"classes": Table(rows=rows)},
        pictures={"tiles": _picture(paths)},
        warnings=made.warnings,
        outputs=(cube, tiles, manifest_path(cube, 0)),
    )


def _digest(index: pd.DataFrame) -> str:
    """Digest of all that the index says; its cells tell the pixels only where neither ground nor group is known."""
    digest = hashlib.sha256("".join([index_digest(index), *index[CONTENT]]).encode())
    if "geometry" in index:
        for outline in shapely.to_wkb(index["geometry"].to_numpy(object)):
            digest.update(outline or b"-")
    return digest.hexdigest()


def _picture(paths: CollectionPaths) -> Path:
    """The first samples of the cube, side by side."""
    info = cube_info(paths.cube(ARCHIVE_TILE))
    height = min(info.height, 4 * info.tile_size)
    pixels = read_block(open_reflectance(paths.cube(ARCHIVE_TILE)), 0, 0, 0, (height, info.width))
    return write_picture(_picture_path(paths), stretch(pixels[list(true_colour(info.bands))]))


def _picture_path(paths: CollectionPaths) -> Path:
    return paths.receipt("tile_cube", ARCHIVE_TILE).with_name(f"{ARCHIVE_TILE}-tiles.png")
