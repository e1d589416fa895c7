"""A map of any product by a bundle, without what trained it."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from agri_assets.bundle.contract import BundleContract
from agri_assets.bundle.reading import read_blocks
from agri_assets.bundle.runner import Runner, load_runner
from agri_assets.bundle.scene import Scene, open_scene
from agri_assets.maps.raster import AGRICULTURAL, NODATA, layers, write_map
from agri_assets.maps.windows import Floats, WindowGrid
from agri_assets.progress import meter


@dataclass(frozen=True)
class Mapped:
    """A finished map.

    Attributes:
        path: The map of classes.
        probability: The map of probabilities.
        squares: What they are called that got a value each: tile positions, or smaller squares.
        count: How many of them there are.
        mapped: Those that were clear enough.
        agricultural: Those of the mapped that were called agricultural.
    """

    path: Path
    probability: Path
    squares: str
    count: int
    mapped: int
    agricultural: int

    @property
    def summary(self) -> str:
        """One line."""
        share = f", {self.agricultural / self.mapped:.1%} of them agricultural" if self.mapped else ": none is clear"
        return f"{self.path}: {self.mapped} of {self.count} {self.squares} mapped{share}"


def map_product(bundle: Path, product: str, out: Path, int8: bool = False, stride: int | None = None) -> Mapped:
    """Map a product by a bundle: `out` (classes) and `<out>.probability.tif` (percent), on the product's own grid.

    Args:
        bundle: The bundle's folder.
        product: What `agri-assets inspect` takes.
        out: Where to.
        int8: By the 8-bit variant.
        stride: Pixels from one window to the next, a divisor of the bundle's tile size: each square of so many pixels
            gets the mean of the windows that cover it. None is the tile size: no overlap.

    Raises:
        ModelError: The bundle is damaged or none, or does not fit the product or the stride.
        SceneError: The product cannot be used.
    """
    contract = BundleContract.load(bundle)
    runner = load_runner(bundle, contract, int8)
    scene = open_scene(product, contract)
    grid = scene.windows(stride)
    class_layer, probability_layer = layers(predict_squares(scene, grid, runner), contract.threshold)
    beside = out.with_name(f"{out.stem}.probability.tif")
    tags = _tags(scene, grid, int8)
    write_map(beside, scene.grid, grid.stride, probability_layer, tags)
    write_map(out, scene.grid, grid.stride, class_layer, tags)
    classes, squares = class_layer.values, "positions" if grid.overlap == 1 else f"squares of {grid.stride} px"
    counts = (int((classes != NODATA).sum()), int((classes == AGRICULTURAL).sum()))
    return Mapped(out, beside, squares, classes.size, *counts)


def predict_squares(scene: Scene, grid: WindowGrid, runner: Runner) -> Floats:
    """Probabilities of the squares, (rows, columns), NaN where no window is clear enough.

    Raises:
        SceneError: A raster cannot be read.
    """
    probability = np.full(grid.shape, np.nan)
    with meter(f"mapping {scene.record.scene_id}", probability.size, "windows") as progress:
        for block in read_blocks(scene, grid):
            for windows in block.batches(runner.chunk):
                probability[windows.row, windows.col] = runner.predict(windows.pixels)
                progress.advance(len(windows.row))
            progress.advance(int(np.count_nonzero(~block.usable)))
    return grid.mean(probability)


def _tags(scene: Scene, grid: WindowGrid, int8: bool) -> dict[str, str]:
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
        "stride_pixels": str(grid.stride),
        "licence": contract.licence,
    }
