"""Finished units of a map in the making, kept until it is whole, so that a killed one continues where it stopped."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agri_assets.maps.raster import Bytes
from agri_assets.maps.windows import Floats, Unit
from agri_assets.objects import remove_folder
from agri_assets.store.commit import staged, sweep
from agri_assets.store.fingerprint import run_name


@dataclass(frozen=True)
class Finished:
    """What is known of a unit.

    Attributes:
        probability: (rows, columns) of its windows, NaN where not predicted.
        view: True colours of its positions, (rows, columns, detail, detail, 3).
    """

    probability: Floats
    view: Bytes


@dataclass(frozen=True)
class Work:
    """The folder of a map in the making.

    Attributes:
        tiles: Folder of all maps in the making of a tile.
        fingerprint: Of the map.
    """

    tiles: Path
    fingerprint: str

    @property
    def folder(self) -> Path:
        """The folder of this very map."""
        return self.tiles / run_name(self.fingerprint)

    def begin(self) -> None:
        """Forget maps of the tile that were begun from other inputs."""
        for other in self.tiles.glob("*") if self.tiles.is_dir() else ():
            if other != self.folder:
                remove_folder(other)

    def load(self, unit: Unit) -> Finished | None:
        """A finished unit; None where it is still to do."""
        path = self._path(unit)
        if not path.exists():
            sweep(path)
            return None
        with np.load(path, allow_pickle=False) as found:
            return Finished(found["probability"], found["view"])

    def save(self, unit: Unit, finished: Finished) -> None:
        """Keep a unit, atomically."""
        with staged(self._path(unit)) as staging, staging.open("wb") as file:
            np.savez(file, probability=finished.probability, view=finished.view)

    def remove(self) -> None:
        """Forget everything: the map is whole."""
        remove_folder(self.tiles)

    def _path(self, unit: Unit) -> Path:
        return self.folder / f"{unit.row:03d}_{unit.col:03d}.npz"
