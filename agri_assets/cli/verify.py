"""`agri-assets verify [TILE]`: compares stored cubes with their manifests."""

import argparse

from agri_assets.cli.cubes import find_cubes
from agri_assets.errors import CubeError

HELP = "check stored cubes for flipped bits, truncated shards and missing files"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("tile", nargs="?", help="MGRS tile such as 33TWL, or the path of a cube; all cubes by default")
    parser.add_argument("--collection", help="only cubes of this collection")


def run(args: argparse.Namespace) -> int:
    """Verify every cube found, print each problem, and fail if there was one."""
    from agri_assets.cube.verify import verify_cube

    problems = 0
    for cube in find_cubes(args.tile, args.collection):
        found = verify_cube(cube)
        problems += len(found)
        print(*found, sep="\n") if found else print(f"{cube}: whole")
    if problems:
        raise CubeError(f"{problems} problem(s) found; materialise tile_cube: it builds exactly what is damaged anew")
    return 0
