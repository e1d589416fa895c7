"""Which tile a SAFE product shows and on which grid: all that its documents say of it must agree."""

import re

from agri_assets.errors import SceneError
from agri_assets.scenes.agreement import Stated, one_tile
from agri_assets.scenes.grid import TileGrid
from agri_assets.scenes.metadata_xml import SIZE_LIMIT, Document, descendants, parse_xml
from agri_assets.scenes.naming import tile_in
from agri_assets.scenes.product_files import ProductFiles
from agri_assets.scenes.safe_images import Images
from agri_assets.scenes.tile_grid import SNAP_M, nominal_grid

OLD_GRANULE = re.compile(r"(S2[A-D]_(?:OPER|USER))_MSI_(.+)_N[\d.]+", re.ASCII)
"""A granule's folder before 2017, whose metadata file is named after it."""


def tile_metadata(files: ProductFiles, granule: str) -> Document | None:
    """The granule's own metadata, MTD_TL.xml; None where the product has none.

    Raises:
        SceneError: It cannot be read.
    """
    names = ["MTD_TL.xml"]
    if old := OLD_GRANULE.fullmatch(granule):
        names.append(f"{old[1]}_MTD_{old[2]}.xml")
    for name in (f"GRANULE/{granule}/{name}" for name in names):
        if files.exists(name):
            return parse_xml(files.read_bytes(name, SIZE_LIMIT), files.where(name))
    return None


def agreed_tile(product: Document, granule: Document | None, images: Images) -> str:
    """The MGRS tile that every statement names.

    Raises:
        SceneError: None of them names one, or two exclude each other.
    """
    statements = {
        "the granule folder": images.granule,
        "PRODUCT_URI": product.optional("PRODUCT_URI", "PRODUCT_URI_2A"),
        "granuleIdentifier": next((node.get("granuleIdentifier") for node in product.elements("Granule")), None),
        "TILE_ID": granule.optional("TILE_ID", "TILE_ID_2A") if granule else None,
        **{f"the image of {image.band}": image.stem.rpartition("/")[2] for image in images.by_band.values()},
    }
    named = [(Stated(what, said), tile) for what, said in statements.items() if said and (tile := tile_in(said))]
    if not named:
        raise SceneError(
            f"{product.where}: neither granule {images.granule[:120]!r} nor PRODUCT_URI names an MGRS tile"
        )
    return one_tile(product.where, named, "download the product again")


def tile_grid(granule: Document | None, tile: str, resolution: float) -> TileGrid:
    """The grid at one resolution from the granule's metadata; without them, that of the whole tile by its name.

    Raises:
        SceneError: There is none at this resolution, or it is not where the tile is.
    """
    whole = nominal_grid(tile, resolution)
    if granule is None:
        return whole
    crs = granule.text("HORIZONTAL_CS_CODE").upper()
    if crs != whole.crs:
        raise SceneError(
            f"{granule.where}: metadata contradict each other: HORIZONTAL_CS_CODE is {crs[:40]!r}, but tile {tile} is "
            f"in {whole.crs}; download the product again"
        )
    grid = _written_grid(granule, crs, resolution)
    if grid.offset_of(whole.bounds) is None or not _inside(grid, whole):
        raise SceneError(
            f"{granule.where}: metadata contradict each other: Geoposition and Size say {grid.shown}, but tile {tile} "
            f"is {whole.shown}; download the product again"
        )
    return grid


def _written_grid(granule: Document, crs: str, resolution: float) -> TileGrid:
    wanted = f"{resolution:.0f}"

    def of(tag: str, *fields: str) -> list[str]:
        node = next((node for node in granule.elements(tag) if node.get("resolution") == wanted), None)
        texts = [next(descendants(node, field), None) for field in fields] if node is not None else [None]
        found = [(text.text or "").strip() for text in texts if text is not None]
        if len(found) != len(fields) or not all(found):
            raise SceneError(f"{granule.where}: no {tag} with {', '.join(fields)} at {wanted} m; incomplete")
        return found

    rows, cols = (granule.whole(value, f"Size at {wanted} m") for value in of("Size", "NROWS", "NCOLS"))
    position = of("Geoposition", "ULX", "ULY", "XDIM", "YDIM")
    left, top, dx, dy = (granule.number(value, f"Geoposition at {wanted} m") for value in position)
    if rows < 1 or cols < 1 or dx != resolution or dy != -resolution:
        raise SceneError(
            f"{granule.where}: {rows} x {cols} pixels of {dx:g} x {dy:g} m at {wanted} m is no north-up grid"
        )
    return TileGrid(crs=crs, transform=(dx, 0.0, left, 0.0, dy, top), height=rows, width=cols)


def _inside(grid: TileGrid, whole: TileGrid) -> bool:
    """Whether a grid is where the tile is; its published corner may differ from the computed one by a snap."""
    (left, bottom, right, top), (west, south, east, north) = grid.bounds, whole.bounds
    return left >= west - SNAP_M and bottom >= south - SNAP_M and right <= east + SNAP_M and top <= north + SNAP_M
