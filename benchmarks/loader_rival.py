"""The rival of `benchmarks.loader`: TorchGeo's RandomGeoSampler over a tiled, compressed GeoTIFF of the same pixels.

It runs in an environment of its own, where nothing of this project is.
"""

import argparse
import json
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from torchgeo.datasets import RasterDataset, stack_samples
from torchgeo.samplers import RandomGeoSampler


class Pixels(RasterDataset):  # type: ignore[misc]  # torchgeo is not installed beside the type checker
    """Any GeoTIFF."""

    filename_glob = "*.tif"


def image(samples: list[dict[str, Any]]) -> torch.Tensor:
    """The pixels of a batch, (batch, bands, height, width)."""
    found: torch.Tensor = stack_samples(samples)["image"]
    return found


def main() -> None:
    """Random tiles for some batches, after the first ones, which wait for the workers to start."""
    parser = argparse.ArgumentParser()
    parser.add_argument("picture", type=Path)
    for name in ("--workers", "--batch", "--batches", "--size"):
        parser.add_argument(name, type=int, required=True)
    args = parser.parse_args()
    dataset = Pixels(args.picture.parent)
    sampler = RandomGeoSampler(dataset, size=args.size, length=(args.batches + args.workers) * args.batch)
    loader = DataLoader(
        dataset,
        args.batch,
        sampler=sampler,
        num_workers=args.workers,
        collate_fn=image,
        multiprocessing_context="spawn",
    )
    batches, tiles = iter(loader), 0
    for _ in range(args.workers):
        next(batches)
    started = time.perf_counter()
    for batch in batches:
        tiles += len(batch)
    print(
        json.dumps(
            {"wall_s": time.perf_counter() - started, "cpu_s": 0, "tiles": tiles, "version": version("torchgeo")}
        )
    )


if __name__ == "__main__":
    main()
