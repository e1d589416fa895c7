"""`agri-assets predict`: a bundle's map of one product, on any machine."""

import argparse
from pathlib import Path

HELP = "map one product with a bundle, by onnxruntime alone (extra `predict`): no torch, no Dagster"

EPILOG = (
    "OUT holds a class for every tile position (0 not agricultural, 1 agricultural, 255 not mapped), and "
    "<OUT's name>.probability.tif beside it the probability in percent; both are cloud-optimised GeoTIFFs on the "
    "product's own grid. Positions that are clouded or lack data are not mapped. With --stride windows overlap, and "
    "each square of so many pixels gets the mean of those that cover it. Ends with 2 where the product cannot be used, "
    "with 1 where bundle and product do not fit or the bundle is damaged."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = EPILOG
    parser.add_argument("bundle", metavar="BUNDLE", type=Path, help="folder that the asset `bundle` wrote")
    parser.add_argument(
        "product",
        metavar="PRODUCT",
        help="what `agri-assets inspect` takes: a .SAFE directory or its zip, a STAC item (file or https address), or "
        "a *.scene.json sidecar",
    )
    parser.add_argument("--out", type=Path, required=True, help="GeoTIFF to write")
    parser.add_argument(
        "--int8", action="store_true", help="use the 8-bit network: faster, its measured loss is in the bundle's card"
    )
    parser.add_argument(
        "--stride",
        type=int,
        metavar="PIXELS",
        help="predict a window every so many pixels, a divisor of the bundle's tile size: a finer map, at (tile size / "
        "PIXELS)^2 times the work (default: the tile size)",
    )


def run(args: argparse.Namespace) -> int:
    """Write the map and say what it holds.

    Raises:
        SceneError: The product cannot be used.
        ModelError: The bundle is damaged, or does not fit the product or the stride.
    """
    # every command's module is imported to build the parser; the readers bring GDAL
    from agri_assets.bundle.predict import map_product

    mapped = map_product(args.bundle.absolute(), args.product, args.out.absolute(), args.int8, args.stride)
    print(mapped.summary)
    return 0
