"""One sample product: its pixels made block by block, its images, its documents, made whole in a folder."""

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from agri_assets.samples.ground import Block
from agri_assets.samples.landcover import MARGIN_PX, TruthMap
from agri_assets.samples.landscape import Land, make_land
from agri_assets.samples.manifest import write_manifest
from agri_assets.samples.metadata import SceneFacts, datastrip_document, product_document, tile_document
from agri_assets.samples.passes import Pass, compact
from agri_assets.samples.rasters import IMAGES, break_jp2, image_dtype, image_path, write_jp2
from agri_assets.samples.render import render, widened
from agri_assets.samples.tiles import PIXEL_M, Window
from agri_assets.store.commit import STAGING_PREFIX

BLOCK_PX = 480
"""Side of the blocks that pixels are made in: a multiple of 6, small enough for a processor's cache."""
WORKERS = 2
"""Threads that make blocks and encode images; each encoder holds one band in memory."""
KEPT_BLOCKS = 36
"""Blocks of ground kept between the dates of a tile, about 9 MB each."""
DAMAGED_IMAGE = "B04"
"""The image that is broken in a damaged product."""


def blocks(window: Window, margin: int = 0) -> list[Block]:
    """The blocks that make up a window, widened by `margin` pixels."""
    side = window.whole + 2 * margin
    col, row = window.ulx // PIXEL_M - margin, -window.uly // PIXEL_M - margin
    starts = range(0, side, BLOCK_PX)
    return [
        Block(window.tile.epsg, col + c, row + r, min(BLOCK_PX, side - c), min(BLOCK_PX, side - r))
        for r in starts
        for c in starts
    ]


@lru_cache(maxsize=KEPT_BLOCKS)
def _kept_land(block: Block, seed: int) -> Land:
    """The land of a block; kept, because every date of a tile needs it again."""
    return make_land(block, seed)


def forget_land() -> None:
    """Free the kept blocks."""
    _kept_land.cache_clear()


def make_truth(window: Window, seed: int) -> TruthMap:
    """The land-cover codes of a window and its margin."""
    side = window.whole + 2 * MARGIN_PX
    codes = np.zeros((side, side), np.uint8)
    parts = blocks(window, MARGIN_PX)

    def fill(block: Block) -> None:
        r, c = block.row - parts[0].row, block.col - parts[0].col
        codes[r : r + block.height, c : c + block.width] = make_land(block, seed).code

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(fill, parts))
    return TruthMap(window, codes)


def write_product(folder: Path, window: Window, overpass: Pass, seed: int, advance: Callable[[], None]) -> None:
    """Write all files of a product into `folder`, which must not exist.

    Args:
        folder: The product's folder; its name is the caller's business.
        window: The ground it covers.
        overpass: The pass that saw it.
        seed: Seed of the landscape.
        advance: Called once per finished block.
    """
    tile, start = window.tile, compact(overpass.start)
    granule = folder / "GRANULE" / overpass.granule_name(tile)
    with tempfile.TemporaryDirectory(prefix=STAGING_PREFIX, dir=folder.parent) as name:
        scratch = Path(name)
        _fill(scratch, window, overpass, seed, advance)

        def encode(image: str) -> None:
            pixels = _open(scratch, image, window, "r")
            write_jp2(image_path(granule, tile.name, start, image), pixels, window, IMAGES[image])

        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(encode, sorted(IMAGES, key=lambda image: IMAGES[image])))
        facts = SceneFacts(window, overpass, np.bincount(_open(scratch, "SCL", window, "r").ravel(), minlength=12))
    _write_documents(folder, granule, facts)
    write_manifest(folder)
    if overpass.damaged:
        break_jp2(image_path(granule, tile.name, start, DAMAGED_IMAGE))


def _open(scratch: Path, image: str, window: Window, mode: Literal["r", "w+"]) -> NDArray[Any]:
    """An image's pixels in a plain file, so that a full-size product needs little memory."""
    side = window.side(IMAGES[image])
    return np.memmap(scratch / image, dtype=image_dtype(image), mode=mode, shape=(side, side))


def _fill(scratch: Path, window: Window, overpass: Pass, seed: int, advance: Callable[[], None]) -> None:
    """Make the pixels of every image, two blocks at a time."""
    images = {image: _open(scratch, image, window, "w+") for image in IMAGES}
    parts = blocks(window)
    ground = _kept_land if len(parts) <= KEPT_BLOCKS else make_land

    def make(block: Block) -> None:
        pixels = render(ground(widened(block), seed), overpass)
        made: dict[str, NDArray[Any]] = {**pixels.bands, "SCL": pixels.scl}
        for image, values in made.items():
            step = IMAGES[image] // PIXEL_M
            r, c = (block.row - parts[0].row) // step, (block.col - parts[0].col) // step
            # Made pixels may reach beyond the window, to fill the last ones of 60 m; finer images end at its edge.
            inside = images[image][r : r + values.shape[0], c : c + values.shape[1]]
            inside[...] = values[: inside.shape[0], : inside.shape[1]]
        advance()

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(make, parts))


def _write_documents(folder: Path, granule: Path, facts: SceneFacts) -> None:
    """Write the metadata documents and the folders that a real product has."""
    strip = facts.datastrip.split("_DS_")[1].rsplit("_N", 1)[0]
    datastrip = folder / "DATASTRIP" / f"DS_{strip}"
    for path in (
        datastrip / "QI_DATA",
        granule / "AUX_DATA",
        granule / "QI_DATA",
        folder / "HTML",
        folder / "rep_info",
    ):
        path.mkdir(parents=True)
    (folder / "MTD_MSIL2A.xml").write_bytes(product_document(facts))
    (granule / "MTD_TL.xml").write_bytes(tile_document(facts))
    (datastrip / "MTD_DS.xml").write_bytes(datastrip_document(facts))
