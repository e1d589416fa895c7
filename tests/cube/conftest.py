"""Small scenes and archives, written as real files, for the tests of the cube."""

import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from PIL import Image

from agri_assets.config import Collection
from agri_assets.scenes.catalog import CatalogTile, write_catalog
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.identity import guard_identity
from agri_assets.scenes.record import BandRecord, Inventory, InventoryEntry, Radiometry, SceneRecord, SceneState
from agri_assets.store.commit import write_json, write_text
from agri_assets.store.fingerprint import file_stamp
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome
from tests.cube.killing import SHARD

TILE, OTHER_TILE = "33TWL", "33TWM"
GRID = TileGrid(crs="EPSG:32633", transform=(10.0, 0.0, 499980.0, 0.0, -10.0, 5100000.0), height=1092, width=1080)
COARSE = {"B11": 2}
"""Bands of a coarser resolution and how many grid pixels one of theirs spans."""


def write_raster(path: Path, pixels: npt.NDArray[Any], step: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    a, _, left, _, e, top = GRID.transform
    profile = {"driver": "GTiff", "count": 1, "dtype": pixels.dtype, "crs": GRID.crs, "nodata": 0}
    height, width = pixels.shape
    transform = rasterio.Affine(a * step, 0, left, 0, e * step, top)
    with rasterio.open(path, "w", height=height, width=width, transform=transform, **profile) as dataset:
        dataset.write(pixels, 1)
    return path


@dataclass(frozen=True)
class Site:
    """A collection of scenes in a temporary folder, with everything upstream of the cube faked by receipts."""

    collection: Collection
    paths: CollectionPaths
    inbox: Path

    def numbers(self, seed: int, band: str) -> npt.NDArray[np.uint16]:
        """The digital numbers that `scene` writes."""
        step = COARSE.get(band, 1)
        rng = np.random.default_rng([seed, *band.encode()])
        return rng.integers(900, 4000, (GRID.height // step, GRID.width // step), dtype=np.uint16)

    def scene(self, date: str, seed: int = 0, hole: slice | None = None, hour: int = 10, scl: int = 4) -> SceneRecord:
        """Write one scene; `hole` are rows without data, `scl` the class of its left half (its right half is 4)."""
        folder = self.inbox / f"{date}-{hour}-{seed}"
        bands = {}
        for band in self.collection.bands:
            numbers, step = self.numbers(seed, band), COARSE.get(band, 1)
            if hole is not None:
                numbers[slice(hole.start // step, hole.stop // step)] = 0
            path = write_raster(folder / f"{band}.tif", numbers, step)
            bands[band] = BandRecord(href=str(path), resolution=10.0 * step, offset=-1000)
        classes = np.full((GRID.height // 2, GRID.width // 2), 4, dtype=np.uint8)
        classes[:, : GRID.width // 4] = scl
        return SceneRecord(
            scene_id=f"S2A_{TILE}_{date.replace('-', '')}_{hour}_L2A",
            source="safe",
            location=str(folder),
            platform="sentinel-2a",
            mgrs_tile=TILE,
            level="L2A",
            acquired=datetime.fromisoformat(f"{date}T{hour:02d}:00:00").replace(tzinfo=UTC),
            processing_baseline="05.09",
            cloud_cover=None,
            crs=GRID.crs,
            transform=GRID.transform,
            shape=(GRID.height, GRID.width),
            bands=bands,
            classification=BandRecord(href=str(write_raster(folder / "SCL.tif", classes, 2)), resolution=20.0),
            radiometry=Radiometry(offset=-1000, decision="a test", evidence={}),
            footprint={},
            readable=True,
            fingerprint=file_stamp(folder),
        )

    def inventory(self, *records: SceneRecord) -> None:
        """Make these the scenes that are present."""
        entries = tuple(InventoryEntry(name=item.scene_id, state=SceneState.PRESENT, record=item) for item in records)
        write_text(self.paths.inventory(TILE), Inventory(tile=TILE, entries=entries).model_dump_json())
        self._receipt("raw_scenes", "+".join(record.fingerprint for record in records))

    def land_cover(self, codes: npt.NDArray[np.uint8] | None = None, version: str = "1") -> None:
        """Write land cover: cropland in the left half, tree cover in the right, unless told otherwise."""
        if codes is None:
            codes = np.full((GRID.height, GRID.width), 10, dtype=np.uint8)
            codes[:, : GRID.width // 2] = 40
        write_raster(self.paths.land_cover(TILE), codes)
        self._receipt("land_cover", version)

    def _receipt(self, asset: str, version: str) -> None:
        outcome = Outcome(path=self.paths.folder, fingerprint=version, data_version=version, summary="a test")
        write_json(self.paths.receipt(asset, TILE), outcome.model_dump(mode="json"))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    settings = {
        "name": "scenes",
        "source": {"kind": "safe", "path": tmp_path / "inbox"},
        "bands": ["B02", "B08", "B11"],
        "labels": {"kind": "worldcover", "path": str(tmp_path)},
    }
    site = Site(Collection.model_validate(settings), CollectionPaths(tmp_path / "data", "scenes"), tmp_path / "inbox")
    site.land_cover()
    write_catalog(site.paths.catalog, [CatalogTile(TILE, True, GRID)])
    return site


@pytest.fixture
def small(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The site on a grid of four small shards a date, with a second tile in its catalogue."""
    grid = TileGrid(crs=GRID.crs, transform=GRID.transform, height=2 * SHARD, width=2 * SHARD - 64)
    monkeypatch.setattr(sys.modules[__name__], "GRID", grid)
    monkeypatch.setattr("agri_assets.cube.schema.SHARD_PIXELS", SHARD)
    write_catalog(site.paths.catalog, [CatalogTile(TILE, True, grid), CatalogTile(OTHER_TILE, True, grid)])
    site.land_cover()
    guard_identity(site.collection, site.paths)
    return site


@dataclass(frozen=True)
class ArchiveSite:
    """A labelled archive of small PNG images in a temporary folder."""

    folder: Path
    paths: CollectionPaths

    def collection(self, path: Path | None = None, **changes: Any) -> Collection:
        source = {"kind": "archive", "path": path or self.folder, **changes.pop("source", {})}
        settings = {
            "name": "tiles",
            "source": source,
            "bands": ["B04", "B03", "B02"],
            "tile_size": 32,
            "labels": {"kind": "classes", "agricultural": ["Crop"]},
            **changes,
        }
        return Collection.model_validate(settings)

    def listing(self, name: str, entries: Sequence[str]) -> Path:
        path = self.folder.parent / name
        path.write_text("\n".join(entries) + "\n")
        return path


def png(seed: int, size: int = 32, mode: str = "RGB") -> bytes:
    depth = (3,) if mode == "RGB" else ()
    pixels = np.random.default_rng(seed).integers(1, 255, (size, size, *depth), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels, mode=None).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def make_png() -> Callable[..., bytes]:
    return png


@pytest.fixture
def archive(tmp_path: Path) -> ArchiveSite:
    folder = tmp_path / "tiles"
    for number, name in enumerate(["Crop", "Forest", "Water"]):
        (folder / name).mkdir(parents=True)
        for item in range(15):
            (folder / name / f"{name}_{item}.png").write_bytes(png(100 * number + item))
    return ArchiveSite(folder, CollectionPaths(tmp_path / "data", "tiles"))
