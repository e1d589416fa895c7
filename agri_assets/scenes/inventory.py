"""The inventory of a tile: every scene that the source lists, and what became of it."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError

from agri_assets.config import Collection
from agri_assets.errors import SceneError, StoreError
from agri_assets.progress import track
from agri_assets.scenes.catalog import catalog_tile
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.naming import with_sequence
from agri_assets.scenes.narrow import narrow
from agri_assets.scenes.radiometry import parse_baseline
from agri_assets.scenes.record import Inventory, InventoryEntry, SceneRecord, SceneState
from agri_assets.scenes.source import SceneRef, SceneSource, open_source
from agri_assets.scenes.verify import verify_scene
from agri_assets.store.commit import read_json, write_text
from agri_assets.store.fingerprint import fingerprint
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, Scalar, Table, run_stage

CODE_VERSION = "1"


@dataclass(frozen=True)
class _Check:
    """One run over a tile: what scenes are checked against, and what an earlier run found out about them."""

    source: SceneSource
    bands: tuple[str, ...]
    grid: TileGrid
    stamps: dict[str, str]
    earlier: dict[str, InventoryEntry]


def take_inventory(collection: Collection, paths: CollectionPaths, tile: str) -> Outcome:
    """List, read and verify a tile's scenes; what did not change since the last time is not verified again.

    Raises:
        SceneError: The source lists no scene of the tile, or every one of them was refused.
        StoreError: The tile is not in the catalogue.
    """
    grid = catalog_tile(paths, tile).grid
    source = open_source(collection, paths)
    refs = source.scenes(tile)
    if not refs:
        raise SceneError(f"{collection.name}: the source lists no scene of tile {tile}; materialise tile_catalog again")
    stamps = {ref.name: _stamp(source, ref) for ref in refs}
    checked = fingerprint(code=CODE_VERSION, bands=collection.bands, grid=grid)
    version = fingerprint(checked=checked, stamps=stamps)
    earlier = _earlier(paths, tile, checked)

    def work() -> Outcome:
        entries = _examine(_Check(source, collection.bands, grid, stamps, earlier), refs, f"{collection.name} {tile}")
        inventory = Inventory(tile=tile, entries=entries, checked=checked)
        write_text(paths.inventory(tile), inventory.model_dump_json(indent=1))
        return _outcome(inventory, paths, version)

    return run_stage(paths.receipt("raw_scenes", tile), version, work, f"{collection.name} raw_scenes {tile}")


def read_inventory(paths: CollectionPaths, tile: str) -> Inventory:
    """The tile's inventory.

    Raises:
        StoreError: There is none, or it is not one.
    """
    path = paths.inventory(tile)
    if not path.exists():
        raise StoreError(
            f"{path}: no such file; run `dagster asset materialize -m agri_assets.definitions "
            f"--select key:{paths.collection}/raw_scenes --partition {tile}`"
        )
    try:
        return Inventory.model_validate(read_json(path))
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        raise StoreError(f"{path}: not an inventory ({problem}); delete it and materialise raw_scenes again") from None


def _earlier(paths: CollectionPaths, tile: str, checked: str) -> dict[str, InventoryEntry]:
    """Entries of the last inventory that still stand, by name."""
    try:
        before = read_inventory(paths, tile)
    except StoreError:
        return {}
    return {entry.name: entry for entry in before.entries} if before.checked == checked else {}


def _stamp(source: SceneSource, ref: SceneRef) -> str:
    try:
        return source.stamp(ref)
    except SceneError as error:
        return str(error)


def _examine(check: _Check, refs: tuple[SceneRef, ...], what: str) -> tuple[InventoryEntry, ...]:
    """Read every scene, then verify the newest processing of each acquisition, and older ones only if that fails."""
    entries: list[InventoryEntry] = []
    rivals: dict[str, list[tuple[SceneRef, SceneRecord]]] = defaultdict(list)
    for ref in refs:
        try:
            record = narrow(check.source.read(ref), check.bands)
            rivals[record.acquisition or ref.name].append((ref, record))
        except SceneError as error:
            entries.append(_refuse(ref, str(error), None, check))
    for group in track(rivals.values(), f"{what}: checking scenes", len(rivals), "acquisitions"):
        entries += _settle(sorted(group, key=lambda one: _age(one[1]), reverse=True), check)
    return _numbered(entries)


def _age(record: SceneRecord) -> tuple[tuple[int, int], str, str]:
    return parse_baseline(record.location, record.processing_baseline), record.generated, record.location


def _settle(newest_first: list[tuple[SceneRef, SceneRecord]], check: _Check) -> Iterable[InventoryEntry]:
    """The first sound processing of an acquisition is present; those older than it are superseded."""
    winner: SceneRecord | None = None
    for ref, record in newest_first:
        if winner is not None:
            reason = f"superseded by {winner.location} (baseline {winner.processing_baseline})"
            yield _entry(ref, SceneState.SUPERSEDED, reason, record, check)
            continue
        problem = _problem(ref, record, check)
        if problem is None:
            winner = record
            yield _entry(ref, SceneState.PRESENT, None, record, check)
        else:
            yield _refuse(ref, problem, record, check)


def _problem(ref: SceneRef, record: SceneRecord, check: _Check) -> str | None:
    """Why a scene cannot be used; known without looking if its files and what they are checked against stood still."""
    before = check.earlier.get(ref.name)
    if before and before.stamp == check.stamps[ref.name] and before.state is not SceneState.SUPERSEDED:
        return before.reason
    try:
        verify_scene(record, check.grid)
    except SceneError as error:
        # the entry names the product already
        return str(error).replace(f"{ref.location}/", "")
    return None


def _entry(
    ref: SceneRef, state: SceneState, reason: str | None, record: SceneRecord | None, check: _Check
) -> InventoryEntry:
    return InventoryEntry(name=ref.name, state=state, reason=reason, record=record, stamp=check.stamps[ref.name])


def _refuse(ref: SceneRef, reason: str, record: SceneRecord | None, check: _Check) -> InventoryEntry:
    return _entry(ref, SceneState.REFUSED, reason, record, check)


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


def _outcome(inventory: Inventory, paths: CollectionPaths, version: str) -> Outcome:
    refused = [entry for entry in inventory.entries if entry.state is SceneState.REFUSED]
    if not inventory.present:
        raise SceneError(
            f"tile {inventory.tile}: all {len(refused)} scenes were refused; the first: {refused[0].name}: "
            f"{refused[0].reason}"
        )
    counts = Counter(entry.state for entry in inventory.entries)
    present, superseded = counts[SceneState.PRESENT], counts[SceneState.SUPERSEDED]
    return Outcome(
        path=paths.inventory(inventory.tile),
        fingerprint=version,
        data_version=fingerprint(code=CODE_VERSION, present=inventory.present),
        summary=f"{present} scenes present, {superseded} superseded, {len(refused)} refused",
        metadata={
            "expected": len(inventory.entries),
            "present": present,
            "superseded": superseded,
            "refused": len(refused),
        },
        tables={"scenes": Table(rows=tuple(_row(entry) for entry in inventory.entries))},
        warnings=tuple(f"{entry.name} refused: {entry.reason}" for entry in refused),
    )


def _row(entry: InventoryEntry) -> dict[str, Scalar]:
    record = entry.record
    return {
        "scene": record.scene_id if record else entry.name,
        "date": f"{record.acquired:%Y-%m-%d}" if record else None,
        "state": entry.state.value,
        "reason": entry.reason,
        "baseline": record.processing_baseline if record else None,
        "offset": record.radiometry.decision if record else None,
        "cloud_cover": round(record.cloud_cover, 2) if record and record.cloud_cover is not None else None,
    }
