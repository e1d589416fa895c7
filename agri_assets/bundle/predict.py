"""A map of any product by a bundle, without what trained it."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from agri_assets.bundle.contract import BundleContract
from agri_assets.bundle.runner import load_runner
from agri_assets.bundle.scene import Scene, open_scene, read_tiles
from agri_assets.maps.raster import AGRICULTURAL, NODATA, layers, write_map
from agri_assets.progress import meter


@dataclass(frozen=True)
class Mapped:
    """A finished map.

    Attributes:
        path: The map of classes.
        probability: The map of probabilities.
        positions: Tile positions of the scene.
        mapped: Those that were clear enough.
        agricultural: Those of the mapped that were called agricultural.
    """

    path: Path
    probability: Path
    positions: int
    mapped: int
    agricultural: int

    @property
    def summary(self) -> str:
        """One line."""
        share = f", {self.agricultural / self.mapped:.1%} of them agricultural" if self.mapped else ": none is clear"
        return f"{self.path}: {self.mapped} of {self.positions} positions mapped{share}"


def map_product(bundle: Path, product: str, out: Path, int8: bool = False) -> Mapped:
    """Map a product by a bundle: `out` (classes) and `<out>.probability.tif` (percent), on the product's own grid.

    Args:
        bundle: The bundle's folder.
        product: What `agri-assets inspect` takes.
        out: Where to.
        int8: By the 8-bit variant.

    Raises:
        ModelError: The bundle is damaged or none, or does not fit the product.
        SceneError: The product cannot be used.
    """
    contract = BundleContract.load(bundle)
    runner = load_runner(bundle, contract, int8)
    scene = open_scene(product, contract)
    probability = np.full(scene.shape, np.nan)
    with meter(f"mapping {scene.record.scene_id}", probability.size, "positions") as progress:
        for tiles in read_tiles(scene):
            probability[tiles.row, tiles.col] = runner.predict(tiles.pixels)
            progress.advance(tiles.positions)
    beside = out.with_name(f"{out.stem}.probability.tif")
    class_layer, probability_layer = layers(probability, contract.threshold)
    tags = _tags(scene, int8)
    write_map(beside, scene.grid, contract.tile_size, probability_layer, tags)
    write_map(out, scene.grid, contract.tile_size, class_layer, tags)
    classes = class_layer.values
    counts = (int((classes != NODATA).sum()), int((classes == AGRICULTURAL).sum()))
    return Mapped(out, beside, classes.size, *counts)


def _tags(scene: Scene, int8: bool) -> dict[str, str]:
    """Provenance, as tags of the files."""
    contract, record = scene.contract, scene.record
    return {
        "TIFFTAG_SOFTWARE": f"agri-assets {version('agri-assets')}",
        "collection": contract.collection,
        "model": contract.model,
        "run": contract.run,
        "precision": "int8" if int8 else "float32",
        "threshold": repr(contract.threshold),
        "temperature": repr(contract.temperature),
        "split_fingerprint": contract.split_fingerprint,
        "scene": record.scene_id,
        "tile": record.mgrs_tile,
        "dates": f"{record.acquired:%Y-%m-%d}",
        "min_clear": repr(contract.min_clear),
        "position_pixels": str(contract.tile_size),
    }
