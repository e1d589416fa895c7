"""What a source of scenes holds, and the sources that find all of it at once."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from agri_assets.errors import SceneError
from agri_assets.scenes.naming import tile_name
from agri_assets.scenes.record import SceneRecord


@dataclass(frozen=True)
class SceneRef:
    """A scene as its source lists it.

    Attributes:
        name: Unique within the source.
        location: The path or address of the product, the item or the sidecar.
        tile: The MGRS tile, zone in two digits.
    """

    name: str
    location: str
    tile: str


@dataclass(frozen=True)
class Listing:
    """What a source holds: scenes by tile, and what could not be placed."""

    refs: tuple[SceneRef, ...]
    strays: tuple[str, ...]

    def tiles(self, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Tiles with scenes, limited to `wanted` unless that is empty."""
        only = {tile_name(tile) for tile in wanted}
        return tuple(sorted(tile for tile in self._by_tile if not only or tile in only))

    def of(self, tile: str) -> tuple[SceneRef, ...]:
        """The scenes of one tile."""
        return tuple(self._by_tile.get(tile, ()))

    @cached_property
    def _by_tile(self) -> Mapping[str, list[SceneRef]]:
        """Sorted once: thousands of tiles are asked for one after the other."""
        found: dict[str, list[SceneRef]] = defaultdict(list)
        for ref in sorted(self.refs, key=lambda ref: ref.name):
            found[ref.tile].append(ref)
        return found


class Listed(ABC):
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

    def fetch(self, ref: SceneRef, record: SceneRecord) -> SceneRecord:
        """See `SceneSource`; the scene is read where it is."""
        return record


def require(path: Path, what: str) -> None:
    """Refuse a source that is not there.

    Raises:
        SceneError: Saying what should be there.
    """
    if not path.exists():
        raise SceneError(f"{path}: no such file or folder; set the source's path in collections.yaml to {what}")
