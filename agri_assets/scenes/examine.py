"""What becomes of each scene of a tile: read, verified, looked at, and the newest processing of it kept."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from agri_assets.errors import SceneError, is_transient
from agri_assets.progress import track
from agri_assets.scenes.darkest import EVIDENCE, judge, look, with_evidence
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.naming import CLASSIFICATION, with_sequence
from agri_assets.scenes.narrow import narrow
from agri_assets.scenes.radiometry import CLIPPED, parse_baseline
from agri_assets.scenes.record import InventoryEntry, SceneRecord, SceneState
from agri_assets.scenes.source import SceneRef, SceneSource
from agri_assets.scenes.verify import Verification, verify_scene


@dataclass(frozen=True)
class Check:
    """One run over a tile: what scenes are checked against, and what an earlier run found out about them.

    Attributes:
        source: Where they come from.
        bands: That the collection uses.
        grid: The tile's.
        wanted: Whether the collection wants a scene, by its record.
        stamps: The source's stamps by name.
        earlier: Entries that still stand where the stamp does, by name.
    """

    source: SceneSource
    bands: tuple[str, ...]
    grid: TileGrid
    wanted: Callable[[SceneRecord], bool]
    stamps: Mapping[str, str]
    earlier: Mapping[str, InventoryEntry]


@dataclass(frozen=True)
class _Scene:
    ref: SceneRef
    record: SceneRecord


def examine(check: Check, refs: tuple[SceneRef, ...], what: str) -> tuple[tuple[InventoryEntry, ...], int]:
    """Read every scene, then verify the newest processing of each acquisition, and older ones only if that fails.

    Args:
        check: What to check against.
        refs: The scenes that the source lists.
        what: For the progress line.

    Returns:
        An entry per wanted scene in order of acquisition, and how many scenes are not wanted.
    """
    entries: list[InventoryEntry] = []
    rivals: dict[str, list[_Scene]] = defaultdict(list)
    left_out = 0
    for ref in track(refs, f"{what}: reading scenes", len(refs), "scenes"):
        try:
            record = _of_its_tile(ref, check.source.read(ref))
            if check.wanted(record):
                rivals[record.acquisition or ref.name].append(_Scene(ref, narrow(record, check.bands)))
            else:
                left_out += 1
        except SceneError as error:
            entries.append(_refused(ref, None, error, check))
    for group in track(rivals.values(), f"{what}: checking scenes", len(rivals), "acquisitions"):
        entries += _settle(sorted(group, key=_age, reverse=True), check)
    return _numbered(entries), left_out


def _of_its_tile(ref: SceneRef, record: SceneRecord) -> SceneRecord:
    if record.mgrs_tile != ref.tile:
        raise SceneError(
            f"{ref.location}: its name says tile {ref.tile}, its metadata say {record.mgrs_tile}; rename it"
        )
    return record


def _age(scene: _Scene) -> tuple[tuple[int, int], str, bool, str]:
    """What orders processings; of two copies of one product the unpacked one is read."""
    record = scene.record
    return (*_processing(record), record.source == "safe", record.location)


def _processing(record: SceneRecord) -> tuple[tuple[int, int], str]:
    return parse_baseline(record.location, record.processing_baseline), record.generated


def _settle(newest_first: list[_Scene], check: Check) -> Iterator[InventoryEntry]:
    """The first sound processing of an acquisition is present; those older than it are superseded."""
    winner: SceneRecord | None = None
    for scene in newest_first:
        if winner is not None:
            yield _entry(scene.ref, scene.record, SceneState.SUPERSEDED, check, reason=_why(scene.record, winner))
            continue
        entry = _judged(scene, check)
        if entry.state is SceneState.PRESENT:
            winner = entry.record
        yield entry


def _why(record: SceneRecord, winner: SceneRecord) -> str:
    """Why a scene gives way."""
    if record.generated and _processing(record) == _processing(winner):
        return f"the same product, also as {winner.location}"
    return f"superseded by {winner.location} (baseline {winner.processing_baseline})"


def _known(scene: _Scene, check: Check) -> InventoryEntry | None:
    """What an earlier run found, if the scene's files and what they are checked against stood still since."""
    before = check.earlier.get(scene.ref.name)
    if before is None or before.record is None or before.stamp != check.stamps[scene.ref.name]:
        return None
    return None if before.state is SceneState.SUPERSEDED else before


def _judged(scene: _Scene, check: Check) -> InventoryEntry:
    """Present or refused; a sound scene is fetched if need be, an unknown one is verified and looked at."""
    ref, before = scene.ref, _known(scene, check)
    if before is not None and before.state is SceneState.REFUSED:
        return before.model_copy(update={"record": scene.record})
    try:
        record = check.source.fetch(ref, scene.record)
        if before is not None and before.record is not None:
            seen = str(before.record.radiometry.evidence.get(EVIDENCE))
            return before.model_copy(update={"record": with_evidence(record, seen)})
        verification = verify_scene(record, check.grid)
        darkest = look(record)
        judge(record, darkest)
    except SceneError as error:
        return _refused(ref, scene.record, error, check)
    record = with_evidence(record, darkest.evidence)
    return _entry(ref, record, SceneState.PRESENT, check, remark=_remark(record, verification))


def _remark(record: SceneRecord, verification: Verification) -> str | None:
    """What people should know of a scene before they trust it."""
    evidence, believed = record.radiometry.evidence, defaultdict(list)
    for kind in ("file", "raster"):
        for band in (*record.bands, CLASSIFICATION):
            if f"{band} {kind}" in evidence:
                believed[evidence[f"{band} {kind}"]].append(band)
    remarks = [f"{', '.join(bands)}: {what}" for what, bands in believed.items()]
    if CLIPPED in evidence:
        remarks.append(f"the provider clipped {evidence[CLIPPED]}")
    return "; ".join([*remarks, *filter(None, [verification.remark])]) or None


def _refused(ref: SceneRef, record: SceneRecord | None, error: SceneError, check: Check) -> InventoryEntry:
    # the entry names the product already
    reason = str(error).replace(f"{ref.location}/", "")
    return _entry(ref, record, SceneState.REFUSED, check, reason=reason, transient=is_transient(error))


def _entry(
    ref: SceneRef,
    record: SceneRecord | None,
    state: SceneState,
    check: Check,
    reason: str | None = None,
    remark: str | None = None,
    transient: bool = False,
) -> InventoryEntry:
    return InventoryEntry(
        name=ref.name,
        state=state,
        reason=reason,
        record=record,
        stamp=check.stamps[ref.name],
        remark=remark,
        transient=transient,
    )


def _numbered(entries: list[InventoryEntry]) -> tuple[InventoryEntry, ...]:
    """In order of acquisition, with scenes of one day told apart by the sequence number in their names."""
    ordered = sorted(entries, key=lambda one: (one.record.acquired.isoformat() if one.record else "", one.name))
    taken: set[str] = set()
    numbered = []
    for entry in ordered:
        record = entry.record
        if record is not None and entry.state is SceneState.PRESENT:
            sequence = int(record.scene_id.split("_")[3])
            while (name := with_sequence(record.scene_id, sequence)) in taken:
                sequence += 1
            taken.add(name)
            entry = entry.model_copy(update={"record": record.model_copy(update={"scene_id": name})})
        numbered.append(entry)
    return tuple(numbered)
