"""`agri-assets samples`: write sample scenes."""

import argparse
from pathlib import Path

NAME = "samples"
HELP = "write sample Sentinel-2 L2A products of a made landscape, with matching land cover"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder to write to; made if missing")
    parser.add_argument("--tiles", required=True, help="MGRS tiles, comma between, e.g. 31TCJ,31TDJ")
    parser.add_argument("--dates", type=int, default=2, help="products per tile (default 2)")
    parser.add_argument("--size", type=int, default=2048, help="side in pixels of 10 m, up to 10980 (default 2048)")
    parser.add_argument("--seed", type=int, default=0, help="seed of landscape and weather (default 0)")
    parser.add_argument("--cloudy-dates", type=int, default=1, help="how many dates, the last, are cloudy (default 1)")
    parser.add_argument("--damaged", type=int, default=0, help="further products with one broken image (default 0)")


def run(args: argparse.Namespace) -> int:
    """Write the samples and say what was written.

    Raises:
        ConfigError: An argument is out of range, or the folder holds other samples.
    """
    from agri_assets.samples.writer import write_samples

    tiles = [name for name in args.tiles.split(",") if name.strip()]
    samples = write_samples(args.folder, tiles, args.dates, args.size, args.seed, args.cloudy_dates, args.damaged)
    for path in (*samples.products, *samples.land_cover):
        print(path)
    print(f"{len(samples.products)} products {'already there' if samples.reused else 'ready'} in {args.folder}")
    return 0
