"""Checking a cube against its manifests: flipped bits, truncated shards and missing files are found and named."""

from collections.abc import Iterator
from pathlib import Path

from agri_assets.cube.damage import record_damage
from agri_assets.cube.manifest import ShardRecord, SlotManifest, manifest_path, read_manifest, samples_path
from agri_assets.cube.open import cube_info
from agri_assets.cube.schema import BANDS_ARRAY, CLASSES_ARRAY, CubeInfo, Slot
from agri_assets.cube.shards import shard_file
from agri_assets.errors import CubeError, StoreError
from agri_assets.progress import track
from agri_assets.store.fingerprint import file_digest


def verify_cube(path: Path) -> list[str]:
    """Compare every stored shard of every active slot with its manifest.

    What is found is kept, so that materialising tile_cube builds exactly the damaged dates again.

    Returns:
        One line per problem; empty if the cube is whole.

    Raises:
        CubeError: There is no cube, or its description cannot be read.
    """
    info = cube_info(path)
    slots = track(info.active, f"{path.name}: verifying", len(info.active), "slots")
    found = {slot: verify_slot(path, info, slot) for slot in slots}
    record_damage(path, {slot.slot: slot for slot, problems in found.items() if problems})
    return [problem for problems in found.values() for problem in problems]


def verify_slot(path: Path, info: CubeInfo, slot: Slot) -> list[str]:
    """Compare every stored shard of one slot with its manifest; one line per problem."""
    return list(_problems(path, info, slot))


def _problems(path: Path, info: CubeInfo, slot: Slot) -> Iterator[str]:
    name = f"{path} slot {slot.slot} ({slot.date or slot.scene_id})"
    try:
        manifest = read_manifest(manifest_path(path, slot.slot))
    except (CubeError, StoreError) as error:
        yield f"{name}: its manifest cannot be read: {error}"
        return
    if manifest.fingerprint != slot.fingerprint or manifest.digest != slot.digest:
        yield f"{name}: its manifest belongs to another build"
    if not samples_path(path, slot.slot).exists():
        yield f"{name}: {samples_path(path, slot.slot).name} is missing"
    yield from (f"{name}: no record of {array} at y={y}, x={x}" for array, y, x in _unrecorded(info, manifest))
    for shard in manifest.shards:
        if problem := _verify_shard(shard_file(path, info, shard.array, slot.slot, shard.y, shard.x), shard):
            yield f"{name}: {shard.array} at y={shard.y}, x={shard.x} {problem}"


def _unrecorded(info: CubeInfo, manifest: SlotManifest) -> list[tuple[str, int, int]]:
    """Shards that the manifest does not speak of."""
    arrays = (BANDS_ARRAY,) if info.grid is None else (BANDS_ARRAY, CLASSES_ARRAY)
    recorded = {(shard.array, shard.y, shard.x) for shard in manifest.shards}
    return [(array, y, x) for array in arrays for y, x in info.shards if (array, y, x) not in recorded]


def _verify_shard(file: Path, shard: ShardRecord) -> str | None:
    """What is wrong with one stored shard."""
    if shard.state == "failed":
        return "could not be read from its source"
    if shard.state == "empty":
        return f"should be empty but has a file ({file})" if file.exists() else None
    if not file.exists():
        return f"is missing ({file})"
    if file.stat().st_size != shard.size:
        return f"has {file.stat().st_size} bytes instead of {shard.size} ({file})"
    return None if file_digest(file) == shard.sha256 else f"is damaged: its checksum differs ({file})"
