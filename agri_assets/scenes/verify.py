"""Whether a scene's rasters are there, undamaged, and on the tile's grid."""

from pathlib import Path

from agri_assets.errors import SceneError
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.manifest import ManifestFile, read_manifest, verify_file
from agri_assets.scenes.naming import CLASSIFICATION
from agri_assets.scenes.rasters import raster_facts, require_whole
from agri_assets.scenes.record import BandRecord, SceneRecord

PIXEL_TYPES = {CLASSIFICATION: ("uint8",)}
"""Pixel types by layer; reflectance is unsigned 16 bit."""


def verify_scene(record: SceneRecord, grid: TileGrid) -> None:
    """Check every raster that will be read: present, whole by the product's own checksums, on the tile's grid.

    Args:
        record: Of the scene, cut down to the collection's bands.
        grid: The tile's grid.

    Raises:
        SceneError: Naming the first raster that is not as it should be.
    """
    _verify_scene_grid(record, grid)
    product = Path(record.location)
    manifest = read_manifest(product) if record.source == "safe" else {}
    layers = dict(record.bands)
    if record.classification is not None:
        layers[CLASSIFICATION] = record.classification
    for name, layer in layers.items():
        path = _local_path(name, layer)
        _verify_bytes(path, product, manifest)
        _verify_grid(name, layer, path, grid)


def _local_path(name: str, layer: BandRecord) -> Path:
    if "://" in layer.href:
        raise SceneError(
            f"{name} is remote ({layer.href}); put the file beside the item: static catalogues are read from disk"
        )
    path = Path(layer.href)
    if not path.is_file():
        raise SceneError(f"{path}: no such file, looked for as band {name}; download the product again")
    return path


def _verify_bytes(path: Path, product: Path, manifest: dict[str, ManifestFile]) -> None:
    """By the manifest's checksum where there is one; else by the file's own directory."""
    expected = manifest.get(str(path.relative_to(product.resolve()))) if manifest else None
    if expected is None or not verify_file(path, expected):
        raster_facts(path)
        require_whole(path)


def _verify_scene_grid(record: SceneRecord, grid: TileGrid) -> None:
    own = TileGrid.of(record)
    if own != grid:
        raise SceneError(
            f"{record.location}: is on {_shown(own)}, the tile's grid is {_shown(grid)}; "
            "scenes of one tile must be on one grid, keep others in another collection"
        )


def _verify_grid(name: str, layer: BandRecord, path: Path, grid: TileGrid) -> None:
    """The raster's corners must be the tile's, and its pixels as large as the product says."""
    facts = raster_facts(path)
    if facts.dtype not in PIXEL_TYPES.get(name, ("uint16",)):
        raise SceneError(
            f"{path}: {name} is {facts.dtype}, expected {PIXEL_TYPES.get(name, ('uint16',))[0]}; not usable"
        )
    in_place = facts.grid.crs == grid.crs and grid.is_filled_by(facts.grid.bounds, layer.resolution)
    if not in_place or facts.grid.resolution != layer.resolution:
        raise SceneError(
            f"{path}: {name} is on {_shown(facts.grid)}, but the tile's grid is {_shown(grid)} and the product says "
            f"{layer.resolution:g} m; not usable"
        )


def _shown(grid: TileGrid) -> str:
    left, bottom, right, top = grid.bounds
    where = f"x {left:.0f} to {right:.0f}, y {bottom:.0f} to {top:.0f}"
    return f"{grid.height} x {grid.width} px of {grid.resolution:g} m in {grid.crs}, {where}"
