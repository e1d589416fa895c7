"""One pass over all pixels of a split by the project's own loader, as a training reads them; run as a process."""

import logging
import sys
from pathlib import Path

import numpy as np

from agri_assets.loading.samples import load_samples
from agri_assets.loading.torch_data import make_loader
from agri_assets.progress import meter
from agri_assets.store.layout import CollectionPaths
from benchmarks.phases import Clock

BATCH = 64


def main(root: Path) -> None:
    """Read every sample of train in shuffled order and add up every byte."""
    logging.basicConfig(level=logging.INFO, format="         %(message)s", stream=sys.stderr)
    clock, paths = Clock(), CollectionPaths(root, "bench")
    samples = load_samples(paths, "train")
    loader = make_loader(samples, {tile: paths.cube(tile) for tile in samples.tiles}, BATCH, shuffle=True)
    size, total = 0, 0
    with meter("streaming", len(samples), "samples") as progress:
        for batch in loader:
            pixels = batch.pixels.numpy()
            size += pixels.nbytes
            # eight bytes as one number, and past the largest on from zero: as fast as memory is read
            total += int(pixels.reshape(-1).view(np.uint64).sum(dtype=np.uint64))
            progress.advance(len(pixels), f"{size / 1e9:.1f} GB")
    clock.report(samples=len(samples), gb=size / 1e9, total=total % 2**64)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
