"""What is known to be damaged: found by `verify`, or lost from disk; the next build makes it again."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from agri_assets.cube.manifest import (
    SlotManifest,
    damage_path,
    manifest_folder,
    manifest_path,
    read_manifest,
    samples_path,
)
from agri_assets.cube.schema import CubeInfo, Slot
from agri_assets.cube.shards import shard_name
from agri_assets.errors import CubeError, StoreError
from agri_assets.objects import each, size_of
from agri_assets.store.commit import read_json, write_json, writing

COORDINATES = "coordinates"
"""Stands among the numbers of damaged slots where coordinates are damaged."""


def record_damage(cube: Path, damaged: Mapping[int, Slot], coordinates: bool = False) -> None:
    """Keep what `verify` found until the next time it looks; nothing is kept of a cube that is whole."""
    found = {str(number): slot.digest for number, slot in sorted(damaged.items())}
    if coordinates:
        found[COORDINATES] = COORDINATES
    if found:
        write_json(damage_path(cube), found)
    elif damage_path(cube).exists():
        with writing(damage_path(cube)):
            damage_path(cube).unlink()


def recorded(cube: Path) -> Mapping[str, str]:
    """What `verify` found, as it was kept."""
    known: dict[str, str] = read_json(damage_path(cube)) if damage_path(cube).exists() else {}
    return known


def damaged_slots(cube: Path, info: CubeInfo, slots: Sequence[Slot] | None = None) -> frozenset[int]:
    """Slots, by default the active ones, that hold nothing sound; reads no pixels.

    They were found damaged, or their manifest, figures or files are missing.
    """
    known, stored, figures = recorded(cube), size_of(cube), size_of(manifest_folder(cube))

    def broken(slot: Slot) -> bool:
        if known.get(str(slot.slot)) == slot.digest or not figures(samples_path(cube, slot.slot).name):
            return True
        manifest = _own_manifest(cube, slot)
        return manifest is None or _is_lost(info, slot, manifest, stored)

    looked_at = info.active if slots is None else slots
    return _those(looked_at, each(cube, broken, looked_at))


def unrecorded_slots(cube: Path, slots: Sequence[Slot]) -> frozenset[int]:
    """Slots without a manifest or figures: nothing tells what they should hold, or how much of it is of use."""
    figures = size_of(manifest_folder(cube))
    return frozenset(
        slot.slot
        for slot in slots
        if not figures(samples_path(cube, slot.slot).name) or _own_manifest(cube, slot) is None
    )


def lost_slots(cube: Path, info: CubeInfo) -> frozenset[int]:
    """Active slots of which a file is missing or cut short, by their manifests: Zarr would read zeros."""
    stored = size_of(cube)

    def lost(slot: Slot) -> bool:
        manifest = _own_manifest(cube, slot)
        return manifest is not None and _is_lost(info, slot, manifest, stored)

    return _those(info.active, each(cube, lost, info.active))


def _those(slots: Sequence[Slot], answers: Iterable[bool]) -> frozenset[int]:
    return frozenset(slot.slot for slot, answer in zip(slots, answers, strict=True) if answer)


def _is_lost(info: CubeInfo, slot: Slot, manifest: SlotManifest, stored: Callable[[str], int | None]) -> bool:
    return any(
        stored(shard_name(info, shard.array, slot.slot, shard.y, shard.x)) != shard.size
        for shard in manifest.shards
        if shard.state == "data"
    )


def _own_manifest(cube: Path, slot: Slot) -> SlotManifest | None:
    """The manifest of a slot; None where it is lost or belongs to another build."""
    try:
        manifest = read_manifest(manifest_path(cube, slot.slot))
    except (CubeError, StoreError):
        return None
    return manifest if manifest.digest == slot.digest else None
