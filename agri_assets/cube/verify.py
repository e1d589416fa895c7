"""Checking a cube against its manifests: flipped bits, truncated shards and missing files are found and named."""

import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from agri_assets.cube.commit import coordinate_files
from agri_assets.cube.cores import worker_count
from agri_assets.cube.damage import record_damage
from agri_assets.cube.manifest import ShardRecord, SlotManifest, manifest_path, read_manifest, samples_path
from agri_assets.cube.open import cube_info
from agri_assets.cube.schema import BANDS_ARRAY, CLASSES_ARRAY, CubeInfo, Slot
from agri_assets.cube.shards import shard_file
from agri_assets.cube.zarr_metadata import root_document
from agri_assets.errors import CubeError, StoreError
from agri_assets.objects import REQUESTS, ObjectPath
from agri_assets.progress import meter
from agri_assets.store.fingerprint import file_digest

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stored:
    """A shard as its manifest tells of it, and where it should lie."""

    slot: Slot
    shard: ShardRecord
    file: Path
    name: str

    def problem(self) -> str | None:
        """What is wrong with it; reads all of it."""
        try:
            found = _verify_shard(self.file, self.shard)
        except OSError as error:
            found = f"cannot be read ({error.strerror or error})"
        return f"{self.name}: {self.shard.array} at y={self.shard.y}, x={self.shard.x} {found}" if found else None


@dataclass
class Report:
    """What was found so far.

    Attributes:
        problems: A line per problem, by slot; a slot that is whole has none.
        shards: Stored shards that were read.
    """

    problems: dict[Slot, list[str]] = field(default_factory=dict)
    shards: int = 0

    @property
    def lines(self) -> tuple[str, ...]:
        """All problems, one line each."""
        return tuple(line for lines in self.problems.values() for line in lines)

    def examine(self, path: Path, info: CubeInfo, slot: Slot) -> list[Stored]:
        """Look at a slot's manifest, and return its shards, which are still to be read."""
        problems, stored = _examine(path, info, slot)
        self.problems.setdefault(slot, problems)
        return stored

    def read(self, path: Path, stored: Sequence[Stored]) -> Iterator[Stored]:
        """Read shards, several at a time, and yield them in order once their problems are noted."""
        pool = ThreadPoolExecutor(REQUESTS if isinstance(path, ObjectPath) else worker_count())
        try:
            for item, problem in zip(stored, pool.map(Stored.problem, stored), strict=True):
                self.problems[item.slot] += [problem] if problem else []
                self.shards += item.shard.state == "data"
                yield item
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def verify_cube(path: Path) -> list[str]:
    """Compare every stored shard of every active slot with its manifest, and the coordinates with the description.

    What is found is kept, so that materialising tile_cube makes exactly what is damaged again.

    Returns:
        One line per problem; empty if the cube is whole.

    Raises:
        CubeError: There is no cube, or its description cannot be read.
    """
    info = cube_info(path)
    report = verify_slots(path, info, info.active)
    coordinates = coordinate_problems(path, info)
    keep_problems(path, report, bool(coordinates))
    return [*coordinates, *report.lines]


def verify_slot(path: Path, info: CubeInfo, slot: Slot) -> list[str]:
    """Compare every stored shard of one slot with its manifest; one line per problem."""
    return list(verify_slots(path, info, [slot]).lines)


def verify_slots(path: Path, info: CubeInfo, slots: Sequence[Slot]) -> Report:
    """Compare every stored shard of some slots with their manifests, on all cores."""
    report = Report()
    stored = [item for slot in slots for item in report.examine(path, info, slot)]
    size, done, started = sum(item.shard.size for item in stored), 0, time.monotonic()
    with meter(f"{path.name}: verifying", size // 10**6, "MB") as counter:
        for item in report.read(path, stored):
            done += item.shard.size
            rate = done / 1e6 / max(time.monotonic() - started, 1e-9)
            counter.advance(done // 10**6 - counter.done, f"{rate:.0f} MB/s")
    return report


def keep_problems(path: Path, report: Report, coordinates: bool) -> None:
    """Keep which slots must be built again."""
    try:
        record_damage(path, {slot.slot: slot for slot, lines in report.problems.items() if lines}, coordinates)
    except StoreError as error:
        logger.warning("%s: what was found cannot be kept for the next build: %s", path, error)


def coordinate_problems(path: Path, info: CubeInfo) -> list[str]:
    """Files of the coordinates that do not hold what the description says."""
    # not by the root as it is now: a build may have committed another date meanwhile
    expected = coordinate_files(info, root_document(info))
    wrong = [name for name, content in expected.items() if _content(path / name) != content]
    return [f"{path / name}: the values of this coordinate are missing or damaged" for name in wrong]


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None


def _examine(path: Path, info: CubeInfo, slot: Slot) -> tuple[list[str], list[Stored]]:
    """What is wrong with a slot without reading its shards, and its shards."""
    name = f"{path} slot {slot.slot} ({slot.date or slot.scene_id})"
    try:
        manifest = read_manifest(manifest_path(path, slot.slot))
    except (CubeError, StoreError) as error:
        return [f"{name}: its manifest cannot be read: {error}"], []
    problems = [f"{name}: no record of {array} at y={y}, x={x}" for array, y, x in _unrecorded(info, manifest)]
    if manifest.fingerprint != slot.fingerprint or manifest.digest != slot.digest:
        problems.append(f"{name}: its manifest belongs to another build")
    if not _is_whole_parquet(samples_path(path, slot.slot)):
        problems.append(f"{name}: {samples_path(path, slot.slot).name} is missing or cut short")
    files = (shard_file(path, info, shard.array, slot.slot, shard.y, shard.x) for shard in manifest.shards)
    return problems, [Stored(slot, shard, file, name) for shard, file in zip(manifest.shards, files, strict=True)]


def _is_whole_parquet(file: Path) -> bool:
    """Whether it ends as Parquet does; parts of it have checksums of their own, which whoever reads it compares."""
    content = _content(file) or b""
    return content[:4] == content[-4:] == b"PAR1"


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
