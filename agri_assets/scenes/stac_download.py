"""Copies of remote bands on disk, for sources that say `download: true`."""

import re
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit, urlunsplit

from rasterio.errors import NotGeoreferencedWarning

from agri_assets.remote.client import client
from agri_assets.remote.download import download
from agri_assets.remote.raster import open_raster
from agri_assets.scenes.naming import CLASSIFICATION
from agri_assets.scenes.record import SceneRecord
from agri_assets.scenes.stac_assets import BandAsset, band_assets
from agri_assets.scenes.stac_document import StacItem
from agri_assets.scenes.stac_rasters import layers_of
from agri_assets.store.fingerprint import fingerprint
from agri_assets.store.layout import CollectionPaths

THREADS = 4
"""Bands copied at once."""

DIGITS = 8
"""Hex digits of the digest in a copy's name."""


@dataclass(frozen=True)
class Copies:
    """The copies that a collection keeps, below each tile's own folder.

    Attributes:
        paths: The collection's.
    """

    paths: CollectionPaths

    def place(self, record: SceneRecord, item: StacItem) -> SceneRecord:
        """The record with those bands read from their copies that are there already."""
        targets = self._targets(record.mgrs_tile, item, layers_of(record))
        return _moved(record, {band: path for band, path in targets.items() if path.is_file()})

    def make(self, record: SceneRecord, item: StacItem) -> SceneRecord:
        """The record with every band read from its copy; missing ones are made now.

        Raises:
            RemoteError: A band cannot be had, after all retries.
            SceneError: What came is not what the item says.
        """
        assets = band_assets(item)
        targets = self._targets(record.mgrs_tile, item, layers_of(record))
        signs = {band: layer.sign for band, layer in layers_of(record).items()}

        def copy(band: str) -> None:
            download(assets[band].href, targets[band], signs[band], assets[band].size, assets[band].checksum)

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(copy, [band for band, target in targets.items() if not target.is_file()]))
        for band, target in targets.items():
            _place(target, assets[band].href, signs[band])
        return _moved(record, targets)

    def lost(self, tile: str, item: StacItem, bands: Iterable[str]) -> tuple[str, ...]:
        """Copies that the tile's inventory names and that are gone: their scene has to be fetched again."""
        inventory = self.paths.inventory(tile)
        if not inventory.exists():
            return ()
        recorded = inventory.read_text()
        targets = self._targets(tile, item, bands).values()
        return tuple(path.name for path in targets if not path.is_file() and path.name in recorded)

    def _targets(self, tile: str, item: StacItem, bands: Iterable[str]) -> dict[str, Path]:
        """Where each remote band's copy stands; a band whose address or contents change gets another name."""
        folder = self.paths.downloads(tile) / _safe(item.name)
        generated = str(item.properties.get("s2:generation_time"))
        remote = {band: asset for band, asset in band_assets(item).items() if not asset.local}
        return {band: folder / _file(band, remote[band], generated) for band in bands if band in remote}


def _place(copy: Path, href: str, sign: str) -> None:
    """Copy a raster's `.aux.xml` too where it does not say itself on which ground it lies."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        raster = open_raster(str(copy))
        known = raster.dataset.crs is not None
        raster.close()
    parts = urlsplit(href)
    beside = urlunsplit(parts._replace(path=f"{parts.path}.aux.xml"))
    if not known and client().exists(beside, sign):
        download(beside, copy.with_name(f"{copy.name}.aux.xml"), sign)


def _file(band: str, asset: BandAsset, generated: str) -> str:
    digest = fingerprint(href=asset.href, size=asset.size, checksum=asset.checksum, generated=generated)[:DIGITS]
    suffix = PurePosixPath(unquote(urlsplit(asset.href).path)).suffix
    return f"{band}-{digest}{suffix if re.fullmatch(r'[.][A-Za-z0-9]{1,5}', suffix) else '.tif'}"


def _moved(record: SceneRecord, copies: dict[str, Path]) -> SceneRecord:
    moved = {
        band: layer.model_copy(update={"href": str(copies[band]), "sign": ""}) if band in copies else layer
        for band, layer in layers_of(record).items()
    }
    bands = {band: moved[band] for band in record.bands}
    return record.model_copy(update={"bands": bands, "classification": moved.get(CLASSIFICATION)})


def _safe(name: str) -> str:
    """An item's id as a folder name, whatever it is made of."""
    kept = re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:100]
    return kept if kept == name else f"{kept}-{fingerprint(name=name)[:DIGITS]}"
