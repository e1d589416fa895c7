"""No pixels stand in two splits: neither an image of an archive, nor a date that was copied under another tile's name.

That samples of scenes share no ground is proved by geometry (see `proof`); what stands here finds the same pixels on
ground that they are not of.
"""

from collections.abc import Mapping, Sequence

from agri_assets.cube.manifest import manifest_path, read_manifest
from agri_assets.cube.open import cube_info
from agri_assets.cube.schema import Slot
from agri_assets.errors import SplitError
from agri_assets.objects import each
from agri_assets.splits.tally import Group
from agri_assets.store.layout import CollectionPaths


def prove_no_copies(paths: CollectionPaths, tiles: Sequence[str], groups: Mapping[str, Group]) -> None:
    """Check that no two tiles hold the same date's pixels while their samples are in different splits.

    Digests of pixels stand in each cube's description, so that none is read.

    Args:
        paths: The collection's.
        tiles: All tiles of the split.
        groups: What each tile gives to the splits.

    Raises:
        SplitError: Two do.
    """
    used = [tile for tile in tiles if groups[tile].n]
    slots = each(paths.folder, lambda tile: cube_info(paths.cube(tile)).active, used)
    seen: dict[str, str] = {}
    for tile, active in zip(used, slots, strict=True):
        for slot in filter(lambda slot: slot.digest, active):
            other = seen.setdefault(slot.digest, tile)
            # in one tile alone they are on one ground, which is in one split
            if other != tile and (groups[other].roles | groups[tile].roles).bit_count() > 1:
                _refuse(paths, tile, slot, other)


def _refuse(paths: CollectionPaths, tile: str, slot: Slot, other: str) -> None:
    """Refuse a date that another tile has as well, unless it holds nothing."""
    # a date without any data is like any other such date
    if not any(shard.state == "data" for shard in read_manifest(manifest_path(paths.cube(tile), slot.slot)).shards):
        return
    first = next(one for one in cube_info(paths.cube(other)).active if one.digest == slot.digest)
    raise SplitError(
        f"tile {tile} holds on {slot.date} the very pixels of tile {other} on {first.date}, and samples of the two are "
        f"in more than one split; remove the copy ({slot.scene_id}) from the source and materialise raw_scenes, "
        "tile_cube and splits again"
    )
