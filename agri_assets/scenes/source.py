"""Where scenes come from: one small interface, one class per kind of source."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

from agri_assets.config import Collection
from agri_assets.errors import SceneError
from agri_assets.scenes.naming import tile_in, tile_name
from agri_assets.scenes.record import SceneRecord
from agri_assets.scenes.safe import read_safe
from agri_assets.scenes.settings import SafeSource, SampleSource, StacCatalogSource
from agri_assets.scenes.stac import is_item, item_stamp, item_tile, read_item, read_json_document
from agri_assets.scenes.stac_catalog import find_items
from agri_assets.store.fingerprint import file_stamp
from agri_assets.store.layout import CollectionPaths

SAFE_DEPTH = 3
"""Levels below a source folder on which products are looked for."""


@dataclass(frozen=True)
class SceneRef:
    """A scene as its source lists it.

    Attributes:
        name: Unique within the source.
        location: The product's folder or item file.
        tile: The MGRS tile, zone in two digits.
    """

    name: str
    location: Path
    tile: str


class SceneSource(Protocol):
    """What every kind of source can do."""

    def prepare(self) -> None:
        """Make sure that the scenes are there (sample scenes are written now)."""

    def tiles(self) -> tuple[str, ...]:
        """The tiles that the source has scenes of and the collection wants, in order."""

    def strays(self) -> tuple[str, ...]:
        """One line for each thing in the source that looks like a scene and cannot be placed in a tile."""

    def scenes(self, tile: str) -> tuple[SceneRef, ...]:
        """The scenes listed for a tile, in order of name."""

    def stamp(self, ref: SceneRef) -> str:
        """Changes when the scene's files do; cheap."""

    def read(self, ref: SceneRef) -> SceneRecord:
        """The scene's record.

        Raises:
            SceneError: It cannot be used.
        """


@dataclass(frozen=True)
class Listing:
    """What a source holds: scenes by tile, and what could not be placed."""

    refs: tuple[SceneRef, ...]
    strays: tuple[str, ...]

    def tiles(self, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Tiles with scenes, limited to `wanted` unless that is empty."""
        only = {tile_name(tile) for tile in wanted}
        return tuple(sorted({ref.tile for ref in self.refs if not only or ref.tile in only}))

    def of(self, tile: str) -> tuple[SceneRef, ...]:
        """The scenes of one tile."""
        return tuple(sorted((ref for ref in self.refs if ref.tile == tile), key=lambda ref: ref.name))


class _Listed(ABC):
    """A source that finds all its scenes at once."""

    wanted: tuple[str, ...]

    @cached_property
    def listing(self) -> Listing:
        """The scenes found, looked up once."""
        return self._find()

    @abstractmethod
    def _find(self) -> Listing: ...

    def prepare(self) -> None:  # noqa: B027  (only sample scenes have something to prepare)
        """Nothing to do: the scenes are the user's."""

    def tiles(self) -> tuple[str, ...]:
        """See `SceneSource`."""
        return self.listing.tiles(self.wanted)

    def strays(self) -> tuple[str, ...]:
        """See `SceneSource`."""
        return self.listing.strays

    def scenes(self, tile: str) -> tuple[SceneRef, ...]:
        """See `SceneSource`."""
        return self.listing.of(tile)


@dataclass(frozen=True)
class SafeFolder(_Listed):
    """`.SAFE` directories in a folder, up to `SAFE_DEPTH` levels down."""

    folder: Path
    wanted: tuple[str, ...] = ()

    def _find(self) -> Listing:
        _require(self.folder, "a folder of .SAFE products")
        refs, strays = [], []
        for path in sorted(_safe_directories(self.folder, SAFE_DEPTH)):
            if tile := _tile_of_safe(path):
                refs.append(SceneRef(str(path.relative_to(self.folder)), path, tile))
            else:
                strays.append(f"{path}: neither its name nor its metadata tell an MGRS tile; left out")
        return Listing(tuple(refs), tuple(strays))

    def stamp(self, ref: SceneRef) -> str:
        """See `SceneSource`."""
        return file_stamp(ref.location)

    def read(self, ref: SceneRef) -> SceneRecord:
        """See `SceneSource`."""
        return read_safe(ref.location)


@dataclass(frozen=True)
class SampleScenes(SafeFolder):
    """Sample scenes: the project's own products, written the first time they are asked for."""

    settings: SampleSource = field(kw_only=True)

    def prepare(self) -> None:
        """Write the products that are not there yet."""
        # the writer brings a renderer with it that reading existing scenes does not need
        from agri_assets.samples.writer import write_samples

        write_samples(
            self.folder,
            self.settings.tiles,
            dates=self.settings.dates,
            size=self.settings.size,
            seed=self.settings.seed,
            cloudy_dates=self.settings.cloudy_dates,
            damaged=self.settings.damaged,
        )


@dataclass(frozen=True)
class StacOnDisk(_Listed):
    """Items of a static STAC catalogue, or of a folder of item files."""

    path: Path
    wanted: tuple[str, ...] = ()

    def _find(self) -> Listing:
        _require(self.path, "a catalog.json or a folder of items")
        refs, strays = [], []
        paths, unread = find_items(self.path)
        for path in paths:
            item = read_json_document(path)
            if tile := item_tile(item) if is_item(item) else None:
                refs.append(SceneRef(str(item.get("id") or path.stem), path, tile))
            else:
                strays.append(f"{path}: the item does not tell an MGRS tile; left out")
        return Listing(tuple(refs), (*unread, *strays))

    def stamp(self, ref: SceneRef) -> str:
        """See `SceneSource`."""
        return item_stamp(ref.location)

    def read(self, ref: SceneRef) -> SceneRecord:
        """See `SceneSource`."""
        return read_item(ref.location)


def open_source(collection: Collection, paths: CollectionPaths) -> SceneSource:
    """The collection's source of scenes.

    Raises:
        SceneError: The collection is an archive, which has no scenes.
    """
    match collection.source:
        case SampleSource() as source:
            return SampleScenes(source.path or paths.sample_scenes, source.tiles, settings=source)
        case SafeSource() as source:
            return SafeFolder(source.path, source.tiles)
        case StacCatalogSource() as source:
            return StacOnDisk(source.path, source.tiles)
        case _:
            raise SceneError(f"collection {collection.name} is a labelled archive; it has no scenes to list")


def _require(path: Path, what: str) -> None:
    if not path.exists():
        raise SceneError(f"{path}: no such file or folder; set the source's path in collections.yaml to {what}")


def _safe_directories(folder: Path, depth: int) -> Iterator[Path]:
    if depth == 0:
        return
    for child in folder.iterdir():
        if child.name.startswith(".") or not child.is_dir():
            continue
        if child.name.upper().endswith(".SAFE"):
            yield child
        else:
            yield from _safe_directories(child, depth - 1)


def _tile_of_safe(path: Path) -> str | None:
    """By the product's name, which costs nothing; by its metadata where the folder was renamed."""
    if tile := tile_in(path.name):
        return tile
    try:
        return read_safe(path).mgrs_tile
    except SceneError:
        return None
