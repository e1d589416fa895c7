"""The inventory of a tile: every scene that the source lists, and what became of it."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from agri_assets.config import Collection
from agri_assets.errors import SceneError, StoreError
from agri_assets.scenes.catalog import catalog_tile
from agri_assets.scenes.examine import Check, examine
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.record import Inventory, InventoryEntry, SceneState
from agri_assets.scenes.settings import FoundScenes, SceneSettings
from agri_assets.scenes.source import SceneRef, SceneSource, open_source
from agri_assets.scenes.wanted import is_wanted
from agri_assets.store.commit import read_json, write_text
from agri_assets.store.fingerprint import fingerprint
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, Scalar, Table, run_stage

CODE_VERSION = "3"

SHOWN_REASONS = 6
"""Kinds of reasons that a failure's one line names; the list it points to has them all."""

PARTICULARS = re.compile(r"\S*[/\\]\S*|\b(?=\w*\d)\w+(\.\w+)*")
"""What differs between two refusals for the same reason: paths, file names, numbers and digests."""


@dataclass(frozen=True)
class ListedScenes:
    """A tile's scenes as the source lists them.

    Attributes:
        refs: The scenes.
        stamps: Their stamps by name.
        checked: Fingerprint of what they are checked against.
        version: Fingerprint of all that an inventory of them depends on.
    """

    refs: tuple[SceneRef, ...]
    stamps: Mapping[str, str]
    checked: str
    version: str


def take_inventory(collection: Collection, paths: CollectionPaths, tile: str, retry_refused: bool = False) -> Outcome:
    """List, read and verify a tile's scenes; what did not change since the last time is not verified again.

    Scenes refused because a host did not answer are tried again at every run, other refused ones when they change.

    Args:
        collection: Whose scenes.
        paths: Where its outputs are.
        tile: The MGRS tile.
        retry_refused: Verify all refused scenes again, changed or not.

    Raises:
        SceneError: The source lists no scene of the tile that is wanted, or too large a share of them was refused;
            the inventory and the receipt of before stay as they are, and `refused.json` beside them has every reason.
        StoreError: The tile is not in the catalogue.
    """
    settings = scene_settings(collection)
    grid = catalog_tile(paths, tile).grid
    source = open_source(collection, paths)
    listed = list_scenes(collection, source, tile, grid)
    if not listed.refs:
        raise SceneError(
            f"{collection.name}: the source lists no scene of tile {tile} any more; check its path, dates and tiles in "
            "collections.yaml, and that its files are still there"
        )

    def work() -> Outcome:
        earlier = _earlier(paths, tile, listed.checked, retry_refused)
        wanted = partial(is_wanted, settings=settings)
        check = Check(source, collection.bands, grid, wanted, listed.stamps, earlier)
        entries, left_out = examine(check, listed.refs, f"{collection.name} {tile}")
        inventory = Inventory(tile=tile, entries=entries, checked=listed.checked, left_out=left_out)
        _commit(inventory, paths, settings)
        return _outcome(inventory, paths, listed.version)

    receipt = paths.receipt("raw_scenes", tile)
    return run_stage(receipt, listed.version, work, f"{collection.name} raw_scenes {tile}", again=retry_refused)


def scene_settings(collection: Collection) -> SceneSettings:
    """The settings of a collection's source of scenes.

    Raises:
        SceneError: It is an archive.
    """
    if not isinstance(collection.source, SceneSettings):
        raise SceneError(f"collection {collection.name} is a labelled archive; it has no scenes to list")
    return collection.source


def list_scenes(collection: Collection, source: SceneSource, tile: str, grid: TileGrid) -> ListedScenes:
    """A tile's scenes as the source has them now, by listing alone: none is opened."""
    refs = source.scenes(tile)
    stamps = {ref.name: _stamp(source, ref) for ref in refs}
    checked = fingerprint(code=CODE_VERSION, bands=collection.bands, grid=grid)
    version = fingerprint(checked=checked, stamps=stamps, limits=_limits(scene_settings(collection)))
    return ListedScenes(refs, stamps, checked, version)


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
    return _read(path)


def refused_path(paths: CollectionPaths, tile: str) -> Path:
    """What an inventory that failed for its refusals found: the whole of it, in the form of an inventory."""
    return paths.scenes(tile) / "refused.json"


def _read(path: Path) -> Inventory:
    try:
        return Inventory.model_validate(read_json(path))
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        raise StoreError(f"{path}: not an inventory ({problem}); delete it and materialise raw_scenes again") from None


def _limits(settings: SceneSettings) -> list[object]:
    """What of the settings decides which scenes count and how many may be refused."""
    found = [settings.dates, settings.max_cloud] if isinstance(settings, FoundScenes) else []
    return [settings.max_refused, *found]


def _earlier(paths: CollectionPaths, tile: str, checked: str, retry_refused: bool) -> dict[str, InventoryEntry]:
    """Entries of the last run, failed or not, that still stand, by name."""
    found: dict[str, InventoryEntry] = {}
    for path in (paths.inventory(tile), refused_path(paths, tile)):
        try:
            before = _read(path)
        except StoreError:
            continue
        if before.checked == checked:
            found |= {entry.name: entry for entry in before.entries}
    return {
        name: entry
        for name, entry in found.items()
        if not entry.transient and not (retry_refused and entry.state is SceneState.REFUSED)
    }


def _stamp(source: SceneSource, ref: SceneRef) -> str:
    try:
        return source.stamp(ref)
    except SceneError as error:
        return str(error)


def _commit(inventory: Inventory, paths: CollectionPaths, settings: SceneSettings) -> None:
    """Write the inventory, or, where too much was refused, what was found beside the inventory of before.

    Raises:
        SceneError: Too much was refused, or nothing is left.
    """
    tile, refused, expected = inventory.tile, inventory.of(SceneState.REFUSED), len(inventory.entries)
    if not expected:
        raise SceneError(
            f"tile {tile}: all {inventory.left_out} scenes are outside the source's dates or over its max_cloud; "
            "widen them in collections.yaml"
        )
    failed = refused_path(paths, tile)
    if inventory.present and len(refused) / expected <= settings.max_refused:
        write_text(paths.inventory(tile), inventory.model_dump_json(indent=1))
        failed.unlink(missing_ok=True)
        return
    write_text(failed, inventory.model_dump_json(indent=1))
    share = f"a share of {len(refused) / expected:.2f}, max_refused is {settings.max_refused:g}"
    how_many = f"{len(refused)} of {expected} scenes were refused ({share})"
    if not inventory.present:
        how_many = f"all {expected} scenes were refused"
    raise SceneError(f"tile {tile}: {how_many}: {_grouped(refused)}; each one's reason is in {failed}")


def _grouped(refused: Sequence[InventoryEntry]) -> str:
    """Reasons of the same kind counted, one of each shown, the most frequent first."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for entry in refused:
        reason = entry.reason or "unknown"
        kinds[PARTICULARS.sub("", reason)].append(reason)
    frequent = sorted(kinds.values(), key=len, reverse=True)
    shown = [f"{len(reasons)} x {reasons[0]}" for reasons in frequent[:SHOWN_REASONS]]
    if len(frequent) > SHOWN_REASONS:
        shown.append(f"{len(frequent) - SHOWN_REASONS} more kinds")
    return "; ".join(shown)


def _outcome(inventory: Inventory, paths: CollectionPaths, version: str) -> Outcome:
    present, superseded, refused = (
        inventory.of(state) for state in (SceneState.PRESENT, SceneState.SUPERSEDED, SceneState.REFUSED)
    )
    left_out = f", {inventory.left_out} left out" if inventory.left_out else ""
    return Outcome(
        path=paths.inventory(inventory.tile),
        fingerprint=version,
        data_version=fingerprint(code=CODE_VERSION, present=inventory.present),
        summary=f"{len(present)} scenes present, {len(superseded)} superseded, {len(refused)} refused{left_out}",
        metadata={
            "expected": len(inventory.entries),
            "present": len(present),
            "superseded": len(superseded),
            "refused": len(refused),
            "left_out": inventory.left_out,
        },
        tables={"scenes": Table(rows=tuple(_row(entry) for entry in inventory.entries))},
        warnings=tuple(f"{entry.name} refused: {entry.reason}" for entry in refused),
        settled=inventory.settled,
    )


def _row(entry: InventoryEntry) -> dict[str, Scalar]:
    record = entry.record
    return {
        "scene": record.scene_id if record else entry.name,
        "name": entry.name,
        "date": f"{record.acquired:%Y-%m-%d}" if record else None,
        "state": entry.state.value,
        "reason": entry.reason,
        "remark": entry.remark,
        "baseline": record.processing_baseline if record else None,
        "offset": record.radiometry.decision if record else None,
        "cloud_cover": round(record.cloud_cover, 2) if record and record.cloud_cover is not None else None,
    }
