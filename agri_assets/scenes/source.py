"""Where scenes come from: one small interface, one class per kind of source."""

from typing import Protocol

from agri_assets.config import Collection
from agri_assets.errors import SceneError
from agri_assets.scenes.listing import SceneRef
from agri_assets.scenes.record import SceneRecord
from agri_assets.scenes.settings import (
    GeotiffSource,
    SafeSource,
    SampleSource,
    StacCatalogSource,
    StacSource,
)
from agri_assets.scenes.source_files import GeotiffFolder, SafeFolder, SampleScenes
from agri_assets.scenes.source_search import StacSearch
from agri_assets.scenes.source_stac import ItemReader, StacOnDisk
from agri_assets.scenes.stac_download import Copies
from agri_assets.store.layout import CollectionPaths

__all__ = ["SceneRef", "SceneSource", "open_source"]


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
        """Changes when the scene's files do, or what its metadata say of it; cheap."""

    def read(self, ref: SceneRef) -> SceneRecord:
        """The scene's record; remote rasters of the collection's bands have their headers read, none is copied.

        Raises:
            SceneError: It cannot be used.
            RemoteError: Its host does not answer, after all retries.
        """

    def fetch(self, ref: SceneRef, record: SceneRecord) -> SceneRecord:
        """The record as its pixels are to be read: where the source says `download`, from copies, made now if missing.

        Raises:
            SceneError: What came is not what the source says.
            RemoteError: A band cannot be had, after all retries.
        """


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
        case GeotiffSource() as source:
            return GeotiffFolder(source.path, source.tiles)
        case StacCatalogSource() as source:
            return StacOnDisk(source, _reader(source, collection, paths))
        case StacSource() as source:
            return StacSearch(source, _reader(source, collection, paths))
        case _:
            raise SceneError(f"collection {collection.name} is a labelled archive; it has no scenes to list")


def _reader(source: StacCatalogSource | StacSource, collection: Collection, paths: CollectionPaths) -> ItemReader:
    return ItemReader(collection.bands, source.sign, Copies(paths) if source.download else None)
