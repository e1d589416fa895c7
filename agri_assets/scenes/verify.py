"""Whether a scene's rasters are there, undamaged as far as checksums tell, and on the tile's grid."""

from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from agri_assets.errors import SceneError
from agri_assets.remote.address import is_remote
from agri_assets.remote.client import client
from agri_assets.remote.raster import Raster, open_raster
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.manifest import MANIFEST, ManifestFile, read_manifest, verify_file
from agri_assets.scenes.naming import CLASSIFICATION
from agri_assets.scenes.product_files import ProductFiles, open_product
from agri_assets.scenes.rasters import blocks_end, grid_of, require_whole
from agri_assets.scenes.record import BandRecord, SceneRecord

PIXEL_TYPES = {CLASSIFICATION: ("uint8", "uint16")}
"""Pixel types by layer, the usual one first; reflectance is unsigned 16 bit, and in a stack so is all else."""

Layers = dict[str, BandRecord]


@dataclass(frozen=True)
class Verification:
    """What is known of a sound scene's bytes.

    Attributes:
        checksummed: How many files hold the checksum of their product, or of the zip that they are in.
        unchecked: Layers whose bytes nothing vouches for: their headers are right, and files are of full length.
        why: Why nothing does.
    """

    checksummed: int
    unchecked: tuple[str, ...] = ()
    why: str = ""

    @property
    def remark(self) -> str | None:
        """One line for people, where there is something to say."""
        return f"bytes of {', '.join(self.unchecked)} not verified: {self.why}" if self.unchecked else None


def verify_scene(record: SceneRecord, grid: TileGrid) -> Verification:
    """Check every raster that will be read: present, whole, of the right pixel type, on the tile's grid.

    Bytes are held against manifest.safe where the product has one, else against the zip's own checksums.

    Args:
        record: Of the scene, cut down to the collection's bands.
        grid: The tile's grid; the scene may cover a part of it.

    Raises:
        SceneError: Naming the first raster that is not as it should be.
        RemoteError: Another host does not give one.
    """
    _verify_scene_grid(record, grid)
    rasters = _layers_by_raster(record)
    if record.source not in ("safe", "safe_zip"):
        for href, layers in rasters.items():
            _require_bytes(href, layers)
            _verify_header(href, layers, grid)
        unchecked = tuple(name for layers in rasters.values() for name in layers)
        return Verification(0, unchecked, "the source gives no checksums")
    with open_product(Path(record.location)) as files:
        manifest = read_manifest(files)
        held = {}
        for href, layers in rasters.items():
            held[href] = _product_bytes_hold(files, href, layers, manifest)
            _verify_header(href, layers, grid)
    unchecked = tuple(name for href, layers in rasters.items() if not held[href] for name in layers)
    why = f"no checksum in {MANIFEST}" if manifest else f"no {MANIFEST}"
    return Verification(sum(held.values()), unchecked, why if unchecked else "")


def _layers_by_raster(record: SceneRecord) -> dict[str, Layers]:
    """The layers to be read, by the raster they are in: one for each of them, or one stack."""
    layers = dict(record.bands)
    if record.classification is not None:
        layers[CLASSIFICATION] = record.classification
    rasters: dict[str, Layers] = defaultdict(dict)
    for name, layer in layers.items():
        rasters[layer.href][name] = layer
    return rasters


def _require_bytes(href: str, layers: Layers) -> None:
    """A file must be there and not end early."""
    if is_remote(href):
        # its header, once open, says how long it should be
        return
    if not Path(href).is_file():
        raise SceneError(f"{href}: no such file, looked for as band {', '.join(layers)}; fetch it again")
    require_whole(Path(href))


def _product_bytes_hold(files: ProductFiles, href: str, layers: Layers, manifest: dict[str, ManifestFile]) -> bool:
    """Whether a checksum vouches for a raster of a product; where none does, its end must at least be there."""
    name = files.name_of(href)
    if not files.exists(name):
        raise SceneError(f"{href}: no such file, looked for as band {', '.join(layers)}; download the product again")
    expected = manifest.get(name)
    if expected is not None and verify_file(files, name, expected):
        return True
    if not files.has_crc:
        require_whole(Path(href))
        return False
    for _ in files.chunks(name):
        # reading to the end is what compares the zip's checksum
        continue
    return True


def _verify_scene_grid(record: SceneRecord, grid: TileGrid) -> None:
    own = TileGrid.of(record)
    alike = own.crs == grid.crs and own.resolution == grid.resolution
    if alike and grid.place(own.bounds, own.resolution) is not None:
        return
    advice = "scenes of one tile must be on one grid, keep others in another collection"
    if alike and own.place(grid.bounds, grid.resolution) is not None:
        tile = record.mgrs_tile
        advice = (
            "the tile was catalogued, and its cube if any was made, from scenes that cover less: materialise "
            f"tile_catalog, which takes the larger grid where there is no cube; to give up the smaller cube, delete "
            f"cube/{tile}.zarr and tiles/{tile}.parquet in the collection's folder before"
        )
    raise SceneError(f"{record.location}: is on {own.shown}, the tile's grid is {grid.shown}; {advice}")


def _verify_header(href: str, layers: Layers, grid: TileGrid) -> None:
    """Pixel type, pixel size and place of each layer in one raster."""
    sign = next(iter(layers.values())).sign
    with closing(open_raster(href, sign)) as raster:
        for name, layer in layers.items():
            _verify_layer(raster, name, layer, grid)
        if is_remote(href) and (end := blocks_end(raster.dataset)) > (size := client().size(href, sign)):
            raise SceneError(f"{raster.href}: truncated at {size} bytes of {end}; damaged at its host, not usable")


def _verify_layer(raster: Raster, name: str, layer: BandRecord, grid: TileGrid) -> None:
    types = raster.dataset.dtypes
    if not 1 <= layer.index <= len(types):
        raise SceneError(f"{raster.href}: has {len(types)} bands, {name} should be number {layer.index}; not usable")
    wanted = PIXEL_TYPES.get(name, ("uint16",))
    if (found := types[layer.index - 1]) not in wanted:
        raise SceneError(f"{raster.href}: {name} is {found}, expected {wanted[0]}; not usable")
    own = grid_of(raster.href, raster.dataset)
    in_place = own.crs == grid.crs and grid.place(own.bounds, own.resolution) is not None
    if not in_place or own.resolution != layer.resolution:
        raise SceneError(
            f"{raster.href}: {name} is on {own.shown}, but the tile's grid is {grid.shown} and the product says "
            f"{layer.resolution:g} m; not usable"
        )
