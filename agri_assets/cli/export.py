"""`agri-assets export TILE DATE OUT`: one date of a cube as a cloud-optimised GeoTIFF."""

import argparse
from pathlib import Path

from agri_assets.cli.cubes import find_cube

HELP = "write one date of a tile's cube as a cloud-optimised GeoTIFF"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("tile", help="MGRS tile such as 33TWL, or the path of a cube")
    parser.add_argument("date", help="day of acquisition, such as 2023-08-15")
    parser.add_argument("out", type=Path, help="GeoTIFF to write")
    parser.add_argument("--collection", help="needed where several collections hold the tile")


def run(args: argparse.Namespace) -> int:
    """Export one date and say where it is."""
    from agri_assets.cube.export import export_cog

    cube = find_cube(args.tile, args.collection)
    export_cog(cube, args.date, args.out.absolute())
    print(f"{args.out}: {args.tile} {args.date} from {cube}")
    return 0
