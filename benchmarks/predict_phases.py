"""The phases that `benchmarks.predict` measures, each run as a process: bare passes of onnxruntime, and a whole map."""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from agri_assets.bundle.contract import ONNX_FILE, Agreement, BundleContract, Figures, Int8
from agri_assets.bundle.predict import map_product
from agri_assets.bundle.runner import load_runner
from agri_assets.models.contract import OFFSET_CONVENTIONS, ModelContract
from agri_assets.scenes.settings import CloudSettings
from agri_assets.store.fingerprint import file_digest
from benchmarks.phases import Clock

BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
FINE = ("B02", "B03", "B04", "B08")
"""Bands of 10 m; the others, and the classification, are of 20 m."""

MODEL, TILE, TILE_SIZE, MEAN, STD = "cnn_vit_hybrid", "31TCJ", 64, 1500.0, 500.0
CLEAR = 4
"""The class `vegetation`."""

EDGE = 1024
"""Of the pattern that bands repeat, in pixels."""

PASSES = 30

NETWORKS = {"hybrid": {}, "tiny": {"trunk": "test_resnet", "stride": 4, "width": 16, "depth": 1, "heads": 2}}
"""Options of a network as it is by default, and of the smallest: beside its memory, what else grows stands out."""


def make_bundle(folder: Path, network: str) -> None:
    """A bundle of a network; made once."""
    clock = Clock()
    if not (folder / "contract.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        _bundle(folder, _run(folder.with_name(f"{folder.name}-run"), NETWORKS[network]))
    clock.report()


def make_product(path: Path, size: int) -> None:
    """A product of so many pixels along one side; made once."""
    clock = Clock()
    if not path.exists():
        _product(path, size)
    clock.report()


def _run(folder: Path, options: dict[str, str | int]) -> Path:
    """An untrained network as a training run leaves it."""
    # by this phase alone: the others must run without torch, as the command does
    from agri_assets.models.registry import build_network
    from agri_assets.models.weights import WEIGHTS_FILE, get_weights, save_weights

    save_weights(folder / WEIGHTS_FILE, get_weights(build_network(MODEL, len(BANDS), TILE_SIZE, options), "torch"))
    ModelContract(
        **{"model": MODEL, "framework": "torch", "collection": "bench", "bands": BANDS, "units": "reflectance"},
        **{"offset_convention": OFFSET_CONVENTIONS["reflectance"], "tile_size": TILE_SIZE, "options": options},
        **{"mean": (MEAN,) * len(BANDS), "std": (STD,) * len(BANDS), "split_fingerprint": "made", "proof": "none"},
        **{"parameters": 1, "weights_digest": file_digest(folder / WEIGHTS_FILE)},
    ).save(folder)
    return folder


def _bundle(folder: Path, run: Path) -> None:
    """The bundle of a run, of whose figures nothing is known."""
    from agri_assets.bundle.export import export_onnx

    folder.mkdir(parents=True)
    export_onnx(run, 1.0, folder / ONNX_FILE)
    unknown = {"roc_auc": None, "roc_auc_int8": None, "accuracy": 0.0, "accuracy_int8": 0.0}
    BundleContract(
        **dict(ModelContract.load(run)),
        **{"run": "0" * 12, "pixel_size": 10.0, "threshold": 0.5, "temperature": 1.0, "resampling": "nearest"},
        **{"clouds": CloudSettings(), "min_clear": 0.5, "min_valid": 0.95, "licence": "made for a benchmark"},
        test=Figures(report="0" * 12, n=0, positives=0, cells=0, values={}, ci95={}),
        agreement=Agreement(tiles=0, network=0.0, stored=0.0),
        int8=Int8(calibration=0, tiles=0, speedup=0.0, tiles_per_s=0.0, shipped=False, **unknown),
        files={ONNX_FILE: file_digest(folder / ONNX_FILE)},
        software={},
    ).save(folder)


def _product(path: Path, size: int) -> None:
    """A stack of plain GeoTIFFs with its sidecar, which is written last."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for number, band in enumerate(BANDS):
        _raster(path.with_name(f"{band}.tif"), size, 10 if band in FINE else 20, _pattern(number))
    _raster(path.with_name("SCL.tif"), size, 20, np.full((EDGE, EDGE), CLEAR, dtype=np.uint8))
    known = {"sidecar": 1, "tile": TILE, "acquired": "2023-06-01T10:50:00Z", "platform": "sentinel-2a", "level": "L2A"}
    layers = {"bands": {band: {"file": f"{band}.tif"} for band in BANDS}, "classification": {"file": "SCL.tif"}}
    path.write_text(json.dumps({**known, "quantification": 10_000, "offset": 0, "nodata": 0, **layers}))


def _pattern(seed: int) -> NDArray[np.uint16]:
    """Fields of some ten pixels with sensor noise, among them some as dark as water."""
    random = np.random.default_rng(seed)
    fields = random.normal(MEAN, STD, (EDGE // 16, EDGE // 16)).repeat(16, axis=0).repeat(16, axis=1)
    return np.clip(fields + random.normal(0, 25, fields.shape), 1, 10_000).astype(np.uint16)


def _raster(path: Path, size: int, metres: int, pattern: NDArray[np.uint16] | NDArray[np.uint8]) -> None:
    """A tiled GeoTIFF that repeats a pattern, written strip by strip."""
    edge = size * 10 // metres
    place = {"crs": "EPSG:32631", "transform": rasterio.Affine(metres, 0, 300_000, 0, -metres, 4_900_020)}
    blocks = {"tiled": True, "blockxsize": 512, "blockysize": 512, "count": 1, "dtype": pattern.dtype.name}
    row = np.tile(pattern, (1, -(-edge // EDGE)))[:, :edge]
    with rasterio.open(path, "w", driver="GTiff", height=edge, width=edge, **blocks, **place) as file:
        for top in range(0, edge, EDGE):
            strip = row[: min(EDGE, edge - top)]
            file.write(strip, 1, window=rasterio.windows.Window(0, top, edge, len(strip)))


def forward(bundle: Path) -> None:
    """Bare passes over one batch that stays in memory, as large as those that the map asks for."""
    contract = BundleContract.load(bundle)
    runner = load_runner(bundle, contract)
    shape = (runner.chunk, *runner.shape)
    pixels = np.random.default_rng(0).integers(1, 5_000, shape, dtype=np.uint16)
    runner.predict(pixels)
    clock = Clock()
    for _ in range(PASSES):
        runner.predict(pixels)
    clock.report(windows=PASSES * runner.chunk)


def whole_map(bundle: Path, product: Path, stride: int) -> None:
    """All that the command does."""
    clock = Clock()
    mapped = map_product(bundle, str(product), product.with_name("map.tif"), stride=stride)
    assert mapped.mapped == mapped.count, "every square of a clear scene is mapped"
    more, edge = TILE_SIZE // stride - 1, round(mapped.count**0.5)
    clock.report(windows=(edge - more) ** 2)


def main() -> None:
    """Run one phase."""
    parser = argparse.ArgumentParser()
    parser.add_argument("phase", choices=["bundle", "product", "forward", "map"])
    parser.add_argument("path", type=Path, help="what to make, or the bundle to use")
    parser.add_argument("--network", choices=list(NETWORKS))
    parser.add_argument("--size", type=int)
    parser.add_argument("--product", type=Path)
    parser.add_argument("--stride", type=int, default=TILE_SIZE)
    args = parser.parse_args()
    if args.phase == "bundle":
        make_bundle(args.path, args.network)
    elif args.phase == "product":
        make_product(args.path, args.size)
    elif args.phase == "forward":
        forward(args.path)
    else:
        whole_map(args.path, args.product, args.stride)


if __name__ == "__main__":
    main()
