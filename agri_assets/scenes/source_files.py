"""Products on disk as sources: `.SAFE` directories and their zips, sample scenes, GeoTIFF sidecars."""

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from agri_assets.errors import SceneError
from agri_assets.scenes.geotiff import read_sidecar, sidecar_stamp
from agri_assets.scenes.listing import Listed, Listing, SceneRef, require
from agri_assets.scenes.naming import tile_in
from agri_assets.scenes.record import SceneRecord
from agri_assets.scenes.safe import read_safe
from agri_assets.scenes.settings import SampleSource
from agri_assets.scenes.sidecar import sidecar_tile
from agri_assets.store.fingerprint import file_stamp

SAFE_DEPTH = 3
"""Levels below a source folder on which products are looked for."""

PRODUCT_ZIP = re.compile(r"^S2[A-D]_.*\.zip$|\.SAFE\.zip$", re.IGNORECASE)
"""Names of zipped products as the archives give them."""


@dataclass(frozen=True)
class SafeFolder(Listed):
    """`.SAFE` directories and zipped products in a folder, up to `SAFE_DEPTH` levels down."""

    folder: Path
    wanted: tuple[str, ...] = ()

    def _find(self) -> Listing:
        require(self.folder, "a folder of .SAFE products")
        refs, strays = [], []
        for path in sorted(_products(self.folder, SAFE_DEPTH)):
            if tile := _tile_of_safe(path):
                refs.append(SceneRef(str(path.relative_to(self.folder)), str(path), tile))
            else:
                strays.append(f"{path}: neither its name nor its metadata tell an MGRS tile; left out")
        return Listing(tuple(refs), tuple(strays))

    def stamp(self, ref: SceneRef) -> str:
        """See `SceneSource`."""
        return file_stamp(Path(ref.location))

    def read(self, ref: SceneRef) -> SceneRecord:
        """See `SceneSource`."""
        return read_safe(Path(ref.location))


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
class GeotiffFolder(Listed):
    """Sidecars (`*.scene.json`) in a folder and below it."""

    folder: Path
    wanted: tuple[str, ...] = ()

    def _find(self) -> Listing:
        require(self.folder, "a folder of *.scene.json sidecars")
        refs, strays = [], []
        for path in sorted(one for one in self.folder.rglob("*.scene.json") if one.is_file()):
            if tile := sidecar_tile(path):
                refs.append(SceneRef(str(path.relative_to(self.folder)), str(path), tile))
            else:
                strays.append(f"{path}: the sidecar does not tell an MGRS tile; left out")
        return Listing(tuple(refs), tuple(strays))

    def stamp(self, ref: SceneRef) -> str:
        """See `SceneSource`."""
        return sidecar_stamp(Path(ref.location))

    def read(self, ref: SceneRef) -> SceneRecord:
        """See `SceneSource`."""
        return read_sidecar(Path(ref.location))


def _products(folder: Path, depth: int) -> Iterator[Path]:
    if depth == 0:
        return
    for child in folder.iterdir():
        if child.name.startswith("."):
            continue
        if child.name.upper().endswith(".SAFE") and child.is_dir():
            yield child
        elif child.is_dir():
            yield from _products(child, depth - 1)
        elif child.suffix.lower() == ".zip" and (PRODUCT_ZIP.search(child.name) or _holds_product(child)):
            yield child


def _holds_product(path: Path) -> bool:
    """Whether a zip of another name begins with a `.SAFE` folder; archives name some downloads by a number."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return False
    return bool(names) and names[0].partition("/")[0].upper().endswith(".SAFE")


def _tile_of_safe(path: Path) -> str | None:
    """By the product's name, which costs nothing; by its metadata where it was renamed."""
    if tile := tile_in(path.name):
        return tile
    try:
        return read_safe(path).mgrs_tile
    except SceneError:
        return None
