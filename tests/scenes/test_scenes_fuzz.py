"""Mutated documents and damaged rasters of every kind of source: read, or refused by the project's own error alone."""

import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from agri_assets.config import Collection
from agri_assets.cube.build import build_cube
from agri_assets.errors import AgriAssetsError, SceneError
from agri_assets.labels.land_cover import build_land_cover
from agri_assets.samples.writer import write_samples
from agri_assets.scenes.catalog import build_catalog
from agri_assets.scenes.inventory import take_inventory
from agri_assets.scenes.read import inspect_product
from agri_assets.store.layout import CollectionPaths
from benchmarks.catalogs import convert_product
from tests.scenes.mutations import mutate

TILE = "31TCJ"
BANDS = ("B02", "B05")
LONGEST_LINE = 3000


@dataclass(frozen=True)
class Product:
    """What a source may hold, as one folder.

    Attributes:
        folder: With everything in it.
        entry: What `inspect` is pointed at, relative to the folder.
        document: The one that is mutated, relative to the folder.
        kind: Of the source that reads the folder.
    """

    folder: Path
    entry: str
    document: str
    kind: str


@dataclass(frozen=True)
class Whole:
    """Undamaged products, and the land cover beside them."""

    products: tuple[Product, ...]
    cover: Path


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Whole:
    """A sample scene as a SAFE product, as an item with COGs and as a stack with a sidecar."""
    root = tmp_path_factory.mktemp("whole")
    write_samples(root / "safe", [TILE], dates=1, size=384, cloudy_dates=0, damaged=0)
    safe = next((root / "safe").glob("*.SAFE"))
    item = convert_product(safe, root / "stac")
    stack = root / "stack"
    shutil.copytree(item.parent, stack, ignore=shutil.ignore_patterns("*.json"))
    (stack / "one.scene.json").write_text(json.dumps(sidecar(json.loads(item.read_text()))))
    granule = next((safe / "GRANULE").iterdir()).name
    documents = ("MTD_MSIL2A.xml", f"GRANULE/{granule}/MTD_TL.xml", "manifest.safe")
    products = [Product(root / "safe", safe.name, f"{safe.name}/{document}", "safe") for document in documents]
    products.append(Product(item.parent, item.name, item.name, "stac_catalog"))
    products.append(Product(stack, "one.scene.json", "one.scene.json", "geotiff"))
    return Whole(tuple(products), root / "safe" / "land_cover")


def sidecar(item: dict) -> dict:
    properties = item["properties"]
    return {
        "sidecar": 1,
        "tile": TILE,
        "acquired": properties["datetime"],
        "platform": properties["platform"],
        "level": "L2A",
        "processing_baseline": properties["s2:processing_baseline"],
        "quantification": 10000,
        "offset": -1000,
        "bands": {name: {"file": f"{name}.tif"} for name in item["assets"] if name != "SCL"},
        "classification": {"file": "SCL.tif"},
    }


def copied(product: Product, target: Path) -> Path:
    """The product with hard-linked rasters, so that hundreds of copies cost nothing; what is damaged is replaced."""
    shutil.copytree(product.folder, target, copy_function=lambda source, to: Path(to).hardlink_to(source))
    return target


def replace(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def check_line(error: AgriAssetsError) -> None:
    assert "\n" not in str(error)
    assert len(str(error)) < LONGEST_LINE


def read(entry: Path) -> bool:
    """Whether a product could be read; its refusal must be one line of the project's own."""
    try:
        inspect_product(str(entry))
    except SceneError as error:
        check_line(error)
        return False
    return True


def ingest(product: Product, place: Path, whole: Whole, root: Path) -> bool:
    """Whether a source could be taken from its listing to the cube."""
    settings = {
        "name": "fuzzed",
        "source": {"kind": product.kind, "path": str(place)},
        "bands": BANDS,
        "labels": {"kind": "worldcover", "path": str(whole.cover)},
    }
    collection, paths = Collection.model_validate(settings), CollectionPaths(root, "fuzzed")
    try:
        build_catalog(collection, paths)
        take_inventory(collection, paths, TILE)
        build_land_cover(collection, paths, TILE)
        build_cube(collection, paths, TILE)
    except AgriAssetsError as error:
        check_line(error)
        return False
    return True


def fuzz_documents(whole: Whole, folder: Path, seeds: range) -> dict[bool, int]:
    outcomes = {True: 0, False: 0}
    for seed in seeds:
        product = whole.products[seed % len(whole.products)]
        place = copied(product, folder / str(seed))
        path = place / product.document
        replace(path, mutate(path.read_bytes(), seed))
        readable = read(place / product.entry)
        # every tenth goes all the way: what a reader accepts must not break a later stage
        outcomes[ingest(product, place, whole, folder / f"{seed}-data") if seed % 10 == 0 else readable] += 1
        shutil.rmtree(place)
    return outcomes


def damage(content: bytes, chance: random.Random) -> bytes:
    """Cut, overwritten in the middle, or bits turned near the head or anywhere."""
    kind = chance.randrange(4)
    if kind == 0:
        return content[: chance.randrange(len(content))]
    damaged = bytearray(content)
    if kind == 1:
        start = chance.randrange(len(content))
        length = min(chance.randrange(1, 4096), len(content) - start)
        damaged[start : start + length] = bytes(length) if chance.random() < 0.5 else chance.randbytes(length)
        return bytes(damaged)
    reach = min(512, len(content)) if kind == 2 else len(content)
    for _ in range(chance.randrange(1, 9)):
        damaged[chance.randrange(reach)] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def fuzz_rasters(whole: Whole, folder: Path, seeds: range) -> dict[bool, int]:
    outcomes = {True: 0, False: 0}
    kinds = [product for product in whole.products if not product.document.endswith((".safe", "MTD_TL.xml"))]
    for seed in seeds:
        chance = random.Random(seed)
        product = kinds[seed % len(kinds)]
        place = copied(product, folder / str(seed))
        layers = (*BANDS, "SCL")
        rasters = [
            path
            for path in sorted(place.rglob("*"))
            if path.suffix in (".jp2", ".tif") and any(layer in path.name for layer in layers)
        ]
        path = chance.choice([one for one in rasters if "land_cover" not in one.parts])
        before = path.read_bytes()
        after = damage(before, chance)
        replace(path, after)
        came_through = ingest(product, place, whole, folder / f"{seed}-data")
        assert not (came_through and product.kind == "safe" and needed(path) and before != after), path
        outcomes[came_through] += 1
        shutil.rmtree(place)
        shutil.rmtree(folder / f"{seed}-data", ignore_errors=True)
    return outcomes


def needed(path: Path) -> bool:
    """Whether a SAFE raster is one of those that the cube is made from; others may be damaged unseen."""
    return any(path.name.endswith(f"_{layer}.jp2") for layer in ("B02_10m", "B05_20m", "SCL_20m"))


def test_mutated_documents(whole, tmp_path):
    assert fuzz_documents(whole, tmp_path, range(60))[False]


def test_damaged_rasters(whole, tmp_path):
    assert fuzz_rasters(whole, tmp_path, range(18))[False]


@pytest.mark.soak
def test_five_hundred_mutated_documents(whole, tmp_path):
    outcomes = fuzz_documents(whole, tmp_path, range(500))
    print(f"500 mutated documents: {outcomes[True]} read all the same, {outcomes[False]} refused")
    assert outcomes[False] > 100


@pytest.mark.soak
def test_two_hundred_damaged_rasters(whole, tmp_path):
    outcomes = fuzz_rasters(whole, tmp_path, range(200))
    print(f"200 damaged rasters: {outcomes[True]} came through, {outcomes[False]} refused")
    assert outcomes[False] > 100


@pytest.mark.soak
def test_mutated_real_documents(shared_data, tmp_path):
    """The recorded items and products of real providers, each mutated many times."""
    items = sorted((shared_data / "stac_items").rglob("*.json"))
    products = sorted((shared_data / "safe_metadata").glob("*.SAFE"))
    for seed in range(300):
        item = tmp_path / f"{seed}.json"
        item.write_bytes(mutate(items[seed % len(items)].read_bytes(), seed))
        read(item)
        product = products[seed % len(products)]
        place = Path(shutil.copytree(product, tmp_path / str(seed) / product.name))
        path = random.Random(seed).choice(sorted(place.rglob("*.xml")))
        path.write_bytes(mutate(path.read_bytes(), seed))
        read(place)
        shutil.rmtree(place)
