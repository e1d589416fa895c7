"""Where Dagster's events and the files disagree: each is made by itself, and either can be lost or made anew alone."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from dagster import AssetKey, DagsterEventType, DagsterInstance
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from agri_assets.cli.doctor.finding import Finding
from agri_assets.config import CollectionsFile, Outline
from agri_assets.errors import AgriAssetsError
from agri_assets.objects import each
from agri_assets.store.commit import read_json
from agri_assets.store.layout import ARCHIVE_TILE, CollectionPaths
from agri_assets.store.receipt import read_outcome

SCENE_ASSETS = ("raw_scenes", "land_cover", "tile_cube")
MADE = DagsterEventType.ASSET_MATERIALIZATION

Versions = Mapping[str | None, str]
"""Data versions by tile; None for what is not made by tile."""


def record_findings(instance: DagsterInstance, root: Path, collections: CollectionsFile) -> list[Finding]:
    """Assets whose events tell of other files than there are, and tiles that this instance does not know."""
    found = []
    for name in collections.names:
        paths, outline = CollectionPaths(root, name), collections.outline(name)
        tiles = () if outline.archive else _tiles(paths)
        found += _unknown_tiles(instance, name, tiles)
        for asset in _assets(outline):
            by_tile = not outline.archive and asset in (*SCENE_ASSETS, "land_map")
            recorded = _recorded(instance, AssetKey([name, asset]), by_tile)
            stored = _stored(paths, asset, outline, tiles if by_tile else (None,))
            # what a retired tile had is not made again
            known = {tile: version for tile, version in recorded.items() if tile is None or tile in tiles}
            found += _differences(f"{name}/{asset}", known, stored)
    return found


def _assets(outline: Outline) -> tuple[str, ...]:
    """Names of a collection's assets, in the order in which they are made."""
    sources = ("tile_cube",) if outline.archive else ("tile_catalog", *SCENE_ASSETS)
    reports = tuple(f"{model}_report" for model in outline.models)
    maps = () if outline.archive else ("land_map",)
    return (*sources, "splits", *outline.models, *reports, "model_comparison", "bundle", *maps)


def _tiles(paths: CollectionPaths) -> tuple[str, ...]:
    """The tiles that count."""
    from agri_assets.scenes.catalog import read_catalog

    return tuple(one.tile for one in read_catalog(paths) if one.active) if paths.catalog.exists() else ()


def _unknown_tiles(instance: DagsterInstance, collection: str, tiles: tuple[str, ...]) -> list[Finding]:
    """Tiles of the catalogue that are no partitions here: it was made under another DAGSTER_HOME, or by hand."""
    partitions = f"{collection}_tiles"
    unknown = sorted(set(tiles) - set(instance.get_dynamic_partitions(partitions)))
    if not unknown:
        return []

    def mend() -> None:
        instance.add_dynamic_partitions(partitions, unknown)

    told = f"{collection}: the catalogue has {len(unknown)} tiles that Dagster does not know ({', '.join(unknown[:3])})"
    return [Finding(told, "register them as partitions", mend)]


def _recorded(instance: DagsterInstance, key: AssetKey, by_tile: bool) -> Versions:
    """What the events tell."""
    if by_tile:
        storage = instance.event_log_storage
        # an earlier definition of the asset may have had no tiles
        tags = storage.get_latest_tags_by_partition(key, MADE, [DATA_VERSION_TAG])
        return {tile: versions.get(DATA_VERSION_TAG, "") for tile, versions in tags.items()}
    event = instance.get_latest_materialization_event(key)
    made = event and event.asset_materialization
    return {None: (made.tags or {}).get(DATA_VERSION_TAG, "")} if made else {}


def _stored(paths: CollectionPaths, asset: str, outline: Outline, tiles: tuple[str | None, ...]) -> Versions:
    """What the receipts tell of outputs that are whole."""

    def version(tile: str | None) -> str | None:
        receipt = _receipt(paths, asset, outline, tile)
        # outside of the block below: storage that cannot be reached has lost nothing
        if receipt is None or not receipt.exists():
            return None
        try:
            outcome = read_outcome(receipt)
            return outcome.data_version if outcome.whole else None
        except AgriAssetsError:
            return None

    versions = each(paths.folder, version, tiles)
    return {tile: found for tile, found in zip(tiles, versions, strict=True) if found is not None}


def _receipt(paths: CollectionPaths, asset: str, outline: Outline, tile: str | None) -> Path | None:
    """The receipt of an asset's live output; None where nothing is live."""
    model = asset.removesuffix("_report")
    if model not in outline.models:
        return paths.receipt(asset, ARCHIVE_TILE if outline.archive and asset == "tile_cube" else tile)
    folder, run_folder = (paths.model, paths.model_run) if asset == model else (paths.report, paths.report_run)
    pointer = folder(model) / "current.json"
    return run_folder(model, read_json(pointer)["run"]) / "complete.json" if pointer.exists() else None


def _differences(asset: str, recorded: Versions, stored: Versions) -> Iterator[Finding]:
    told = {
        "lost": ("Dagster has it as made, but its files are gone or not whole", "make it again"),
        "unknown": ("its files are whole, but no event tells of them", "the next run records them and is done"),
        "another": ("its files are others than the last event tells of", "the next run records them"),
    }
    for kind, (wrong, remedy) in told.items():
        tiles = [tile for tile in {**recorded, **stored} if kind == _kind(recorded.get(tile), stored.get(tile))]
        if tiles:
            yield Finding(f"{asset}{_named(tiles)}: {wrong}", f"{remedy}: `{_command(asset, tiles)}`")


def _kind(recorded: str | None, stored: str | None) -> str:
    if stored is None:
        return "lost"
    if recorded is None:
        return "unknown"
    return "same" if recorded == stored else "another"


def _named(tiles: list[str | None]) -> str:
    names = [tile for tile in tiles if tile]
    return f", {len(names)} tiles ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})" if names else ""


def _command(asset: str, tiles: list[str | None]) -> str:
    partition = f" --partition {tiles[0]}" if tiles[0] else ""
    each = " (and so on, for each of them)" if len(tiles) > 1 else ""
    return f"dagster asset materialize -m agri_assets.definitions --select key:{asset}{partition}{each}"
