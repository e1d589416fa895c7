"""`agri-assets predict` maps a product as the land map would, without what trained the model."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

from agri_assets.bundle.contract import BundleContract
from agri_assets.bundle.predict import map_product, predict_squares
from agri_assets.bundle.runner import load_runner
from agri_assets.bundle.scene import open_scene
from agri_assets.cli.main import main
from agri_assets.config import Collection
from agri_assets.cube.build import build_cube
from agri_assets.cube.index import read_index
from agri_assets.cube.open import cube_info, open_reflectance
from agri_assets.errors import ModelError, SceneError
from agri_assets.evaluation.temperature import scaled
from agri_assets.maps.positions import choose_positions
from agri_assets.maps.predict import predict_windows
from agri_assets.maps.quicklook import Mosaic
from agri_assets.maps.reading import Rules, WindowReader
from agri_assets.maps.settings import MapSettings
from agri_assets.maps.windows import WindowGrid
from agri_assets.maps.work import Work
from agri_assets.models.predictor import load_predictor
from agri_assets.samples.writer import write_samples
from agri_assets.scenes.catalog import CatalogTile, write_catalog
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.narrow import narrow
from agri_assets.scenes.read import inspect_product
from agri_assets.scenes.record import Inventory, InventoryEntry, SceneState
from agri_assets.store.commit import write_json, write_text
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome

TILE, EDGE = "31TCJ", 32

TRAINED_WITH = ("torch", "dagster", "keras", "tensorflow", "timm", "lightning", "albumentations", "sklearn", "scipy")
TABLES = ("pandas", "geopandas", "pyarrow", "pyproj", "h3", "mgrs", "xarray", "dask", "matplotlib", "PIL")
WRITTEN_WITH = ("safetensors", "onnx", "onnxscript", "obstore", "pystac", "pystac_client", "psutil")

REFUSING = f"""
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {(*TRAINED_WITH, *TABLES, *WRITTEN_WITH)}:
            raise ImportError("not in the base install: " + name)

sys.meta_path.insert(0, Refuse())
from agri_assets.cli.main import main

sys.exit(main(sys.argv[1:]))
"""
"""The command where nothing is installed but the base and onnxruntime."""


def run_bare(code, *arguments):
    home = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=home, check=False
    )


def predicted(bundle, product, stride=None):
    """Probabilities by square, NaN where not mapped."""
    contract = BundleContract.load(bundle)
    scene, runner = open_scene(str(product), contract), load_runner(bundle, contract)
    return predict_squares(scene, scene.windows(stride), runner)


def made_cube(root, product, contract):
    """A collection with a cube of a product and its tile index."""
    collection = Collection.model_validate(
        {
            "name": "made",
            "source": {"kind": "safe", "path": str(root)},
            "bands": contract.bands,
            "tile_size": EDGE,
            "clouds": contract.clouds.model_dump(),
            "labels": {"kind": "worldcover", "path": str(root)},
        }
    )
    paths, record = CollectionPaths(root / "data", "made"), narrow(inspect_product(str(product)), contract.bands)
    grid = TileGrid.of(record)
    write_catalog(paths.catalog, [CatalogTile(TILE, True, grid)])
    entry = InventoryEntry(name=record.scene_id, state=SceneState.PRESENT, record=record)
    write_text(paths.inventory(TILE), Inventory(tile=TILE, entries=(entry,)).model_dump_json())
    paths.land_cover(TILE).parent.mkdir(parents=True)
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": 0, "crs": grid.crs}
    place = {"transform": rasterio.Affine(*grid.transform), "height": grid.height, "width": grid.width}
    with rasterio.open(paths.land_cover(TILE), "w", **profile, **place) as file:
        file.write(np.full((1, grid.height, grid.width), 40, np.uint8))
    for asset in ("raw_scenes", "land_cover"):
        outcome = Outcome(path=paths.folder, fingerprint="1", data_version="1", summary="a test")
        write_json(paths.receipt(asset, TILE), outcome.model_dump(mode="json"))
    build_cube(collection, paths, TILE)
    return paths, grid


def by_the_cube(root, product, run, contract):
    """The same by the trained network from a cube of the product and its tile index."""
    paths, grid = made_cube(root, product, contract)
    index, pixels = read_index(paths.tiles(TILE)), np.asarray(open_reflectance(paths.cube(TILE))[:])[0]
    usable = index[(index["clear_fraction"] >= contract.min_clear) & (index["valid_fraction"] >= contract.min_valid)]
    row, col = usable["row"].to_numpy(), usable["col"].to_numpy()
    cut = [pixels[:, r * EDGE : (r + 1) * EDGE, c * EDGE : (c + 1) * EDGE] for r, c in zip(row, col, strict=True)]
    found = np.full(grid.positions(EDGE), np.nan)
    found[row, col] = scaled(load_predictor(run).predict(np.stack(cut)), contract.temperature)
    return found


@pytest.mark.parametrize("which", [0, 1])
def test_a_product_is_mapped_as_the_land_map_would(bundle, tiny_run, products, tmp_path, which):
    contract = BundleContract.load(bundle)
    wanted = by_the_cube(tmp_path, products[which], tiny_run, contract)
    found = predicted(bundle, products[which])
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)
    assert np.nanstd(found) > 0.01
    if which:
        assert 0 < np.isfinite(found).mean() < 1, "clouds must hide some positions and not all"


def by_the_land_map(root, product, run, contract, stride):
    """The probabilities of squares that the land map predicts from a cube of the product."""
    paths, grid = made_cube(root, product, contract)
    info, shape = cube_info(paths.cube(TILE)), grid.positions(EDGE)
    chosen = choose_positions(paths.tiles(TILE), info, shape, MapSettings(), contract.min_valid)
    rules = Rules(contract.min_valid, contract.min_clear, contract.clouds)
    windows = WindowGrid(shape, EDGE, stride, info.shard_size // EDGE)
    mosaic, predictor, work = Mosaic(*shape, EDGE), load_predictor(run), Work(root / "work", "1")
    reader = WindowReader(paths.cube(TILE), info, windows, chosen, rules, mosaic.detail)
    return windows.mean(predict_windows(predictor, contract.temperature, reader, work, mosaic, "a test"))


@pytest.mark.parametrize("stride", [16, 8])
def test_a_finer_map_is_the_land_maps(bundle, tiny_run, products, tmp_path, stride):
    contract = BundleContract.load(bundle)
    wanted = by_the_land_map(tmp_path, products[1], tiny_run, contract, stride)
    found = predicted(bundle, products[1], stride)
    assert found.shape == (384 // stride, 384 // stride)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)
    assert np.nanstd(found) > 0.01
    assert 0 < np.isfinite(found).mean() < 1


@pytest.mark.parametrize("stride", [None, 8])
def test_a_map_is_the_same_however_the_scene_is_cut(bundle, products, monkeypatch, stride):
    whole = predicted(bundle, products[1], stride)
    monkeypatch.setattr("agri_assets.cube.schema.SHARD_PIXELS", 3 * EDGE)
    np.testing.assert_allclose(predicted(bundle, products[1], stride), whole, rtol=0, atol=1e-6)


def test_pixels_beyond_whole_positions_are_not_mapped(bundle, tmp_path):
    write_samples(tmp_path, ["31TCJ"], dates=1, size=360, cloudy_dates=0, damaged=0)
    (product,) = tmp_path.glob("*.SAFE")
    map_product(bundle, str(product), tmp_path / "map.tif", stride=8)
    with rasterio.open(tmp_path / "map.tif") as file:
        mapped = file.read(1) != 255
    assert mapped.shape == (360, 360)
    assert mapped[:352, :352].all()
    assert not mapped[352:].any()
    assert not mapped[:, 352:].any()


@pytest.mark.parametrize("form", ["SAFE", "zip"])
def test_the_command_writes_both_maps(bundle, products, tmp_path, capsys, form):
    product = products[1]
    if form == "zip":
        packed = shutil.make_archive(str(tmp_path / product.stem), "zip", product.parent, product.name)
        product = Path(packed)
    out = tmp_path / "maps" / "map.tif"
    assert main(["predict", str(bundle), str(product), "--out", str(out)]) == 0
    found = predicted(bundle, products[1])
    mapped = np.isfinite(found)
    share = (found[mapped] >= 0.5).mean()
    assert f"{mapped.sum()} of {mapped.size} positions mapped, {share:.1%} of them agricul" in capsys.readouterr().out
    with rasterio.open(out) as file:
        classes = file.read(1)
        assert file.nodata == 255
        assert file.colormap(1)[1] == (230, 159, 0, 255)
        assert file.tags()["precision"] == "float32"
        assert file.tags()["licence"] == "MIT"
        assert file.tags()["scene"].startswith("S2")
        assert file.transform == rasterio.open(next(products[1].glob("**/*B04_10m.jp2"))).transform
    with rasterio.open(out.with_name("map.probability.tif")) as file:
        percent = file.read(1)
    every = classes[::EDGE, ::EDGE]
    assert np.array_equal(every == 255, ~mapped)
    assert np.array_equal(every[mapped] == 1, found[mapped] >= 0.5)
    assert np.array_equal(percent[::EDGE, ::EDGE][mapped], np.rint(found[mapped] * 100))


def test_the_command_takes_a_stride(bundle, products, tmp_path, capsys):
    out = tmp_path / "map.tif"
    assert main(["predict", str(bundle), str(products[1]), "--out", str(out), "--stride", "16"]) == 0
    found = predicted(bundle, products[1], 16)
    mapped = np.isfinite(found)
    assert f"{mapped.sum()} of {mapped.size} squares of 16 px mapped" in capsys.readouterr().out
    with rasterio.open(out.with_name("map.probability.tif")) as file:
        percent = file.read(1)
        assert (file.tags()["stride_pixels"], file.tags()["position_pixels"]) == ("16", "32")
    assert np.array_equal(percent[::16, ::16][mapped], np.rint(found[mapped] * 100))
    assert np.array_equal(percent[::16, ::16].repeat(16, 0).repeat(16, 1), percent)


@pytest.mark.parametrize("stride", [0, 4, 12, 64])
def test_a_stride_that_does_not_fit_is_refused(bundle, products, tmp_path, capsys, stride):
    arguments = ["predict", str(bundle), str(products[0]), "--out", str(tmp_path / "map.tif"), "--stride", str(stride)]
    assert main(arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"stride {stride} does not fit the tiles of 32 px that cnn_vit_hybrid takes; use one of 8, 16, 32" in line
    assert not list(tmp_path.glob("*.tif"))


def test_the_8_bit_network_maps_too(bundle, products, tmp_path):
    mapped = map_product(bundle, str(products[0]), tmp_path / "map.tif", int8=True)
    assert mapped.mapped > 0
    with rasterio.open(tmp_path / "map.tif") as file:
        assert file.tags()["precision"] == "int8"


def test_a_stac_item_needs_no_more_than_that(changed_bundle, shared_data, tmp_path):
    bundle = changed_bundle(bands=("B04", "B08", "B02"))
    item = min(shared_data.glob("sentinel2_stac/sentinel-2-l2a/*33TWM_20230815*/*.json"))
    out = tmp_path / "map.tif"
    done = run_bare(REFUSING, "predict", str(bundle), str(item), "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "its pixels are 120 m, cnn_vit_hybrid of tiny was trained on 10 m" in done.stderr
    with rasterio.open(out) as file:
        assert file.shape == (915, 915)


def test_nothing_is_needed_but_the_base_install_and_onnxruntime(bundle, products, tmp_path):
    out = tmp_path / "map.tif"
    done = run_bare(REFUSING, "predict", str(bundle), str(products[0]), "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "positions mapped" in done.stdout
    assert out.exists()
    refused = run_bare(REFUSING.replace("from agri", "import torch; from agri", 1))
    assert "not in the base install: torch" in refused.stderr, "the hook must refuse"


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({"bands": ("B04", "B08", "B01X")}, "has no band B01X, which cnn_vit_hybrid of tiny needs; it has B"),
        ({"units": "dn8", "offset_convention": "8-bit"}, "units reflectance do not fit"),
        ({"offset_convention": "offset not removed"}, "offset convention reflectance = DN"),
        ({"tile_size": 512}, "is 384 x 384 px, smaller than one tile of 512 px"),
    ],
)
def test_a_product_that_does_not_fit_is_refused(changed_bundle, products, tmp_path, capsys, known, told):
    folder = changed_bundle(**known)
    assert main(["predict", str(folder), str(products[0]), "--out", str(tmp_path / "map.tif")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert not list(tmp_path.glob("*.tif"))


def test_a_product_that_cannot_be_read_is_refused(bundle, products, tmp_path, capsys):
    bare = shutil.copytree(products[0], tmp_path / products[0].name, ignore=shutil.ignore_patterns("*.jp2"))
    short = shutil.copytree(products[1], tmp_path / products[1].name)
    (image,) = short.glob("**/*_B08_10m.jp2")
    image.write_bytes(image.read_bytes()[:-1000])
    for product in (bare, short, tmp_path / "nowhere", tmp_path):
        assert main(["predict", str(bundle), str(product), "--out", str(tmp_path / "map.tif")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert str(product) in line
    assert not list(tmp_path.glob("*.tif"))


def test_what_people_must_know_is_told(changed_bundle, products, caplog):
    folder = changed_bundle(pixel_size=20.0)
    with caplog.at_level("WARNING"):
        open_scene(str(products[0]), BundleContract.load(folder))
    assert "its pixels are 10 m, cnn_vit_hybrid of tiny was trained on 20 m" in caplog.text


def test_errors_are_the_projects_own(bundle, tmp_path):
    with pytest.raises(SceneError):
        map_product(bundle, str(tmp_path / "nowhere"), tmp_path / "map.tif")
    with pytest.raises(ModelError):
        map_product(tmp_path, str(tmp_path / "nowhere"), tmp_path / "map.tif")
