"""A cube build killed at random instants: readers see only whole dates, and the finished cube is the unharmed one."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from agri_assets.config import Collection
from agri_assets.cube.build import build_cube
from agri_assets.cube.open import cube_info, open_reflectance, read_block
from agri_assets.cube.verify import verify_cube
from agri_assets.labels.land_cover import build_land_cover
from agri_assets.scenes.catalog import build_catalog
from agri_assets.scenes.inventory import take_inventory
from agri_assets.store.layout import CollectionPaths

pytestmark = pytest.mark.e2e

TILE = "31TCJ"
BUILD = """
import sys
from pathlib import Path
from agri_assets.config import Collection
from agri_assets.cube.build import build_cube
from agri_assets.store.layout import CollectionPaths
print("ready", flush=True)
build_cube(Collection.model_validate_json(sys.argv[1]), CollectionPaths(Path(sys.argv[2]), "sample"), sys.argv[3])
"""


def ingested(root) -> tuple[Collection, CollectionPaths]:
    source = {"kind": "sample", "tiles": [TILE], "dates": 3, "cloudy_dates": 1, "size": 1152, "path": root / "scenes"}
    collection = Collection.model_validate(
        {"name": "sample", "source": source, "bands": ["B02", "B08", "B11"], "labels": {"kind": "worldcover"}}
    )
    paths = CollectionPaths(root / "data", "sample")
    build_catalog(collection, paths)
    take_inventory(collection, paths, TILE)
    build_land_cover(collection, paths, TILE)
    return collection, paths


def killed_build(collection: Collection, paths: CollectionPaths, delay: float) -> bool:
    """Start a build in a process of its own and kill it after `delay` seconds; whether it was still at work."""
    command = [sys.executable, "-c", BUILD, collection.model_dump_json(), str(paths.root), TILE]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(delay)
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    return alive


def readable_dates(paths: CollectionPaths) -> int:
    """Read every committed pixel, as a reader would; a date that is not whole raises or fails verification."""
    if not (paths.cube(TILE) / "zarr.json").exists():
        return 0
    info, array = cube_info(paths.cube(TILE)), open_reflectance(paths.cube(TILE))
    for slot in info.slots:
        assert read_block(array, slot.slot, 0, 0, (info.height, info.width)).any()
    assert verify_cube(paths.cube(TILE)) == []
    return len(info.slots)


def kills(tmp_path, count: int) -> None:
    unharmed_collection, unharmed = ingested(tmp_path / "unharmed")
    started = time.monotonic()
    expected = build_cube(unharmed_collection, unharmed, TILE)
    length = time.monotonic() - started
    collection, paths = ingested(tmp_path / "harmed")
    chance, seen, struck = random.Random(count), 0, 0
    for _ in range(count):
        struck += killed_build(collection, paths, chance.uniform(0, length))
        dates = readable_dates(paths)
        assert dates >= seen
        seen = dates
        if seen == 3:
            collection, paths = ingested(tmp_path / f"harmed-{struck}")
            seen = 0
    assert struck > 0
    found = build_cube(collection, paths, TILE)
    assert found.data_version == expected.data_version
    print(f"{count} builds, {struck} of them killed at work; the finished cube equals the unharmed one")


def test_a_few_kills(tmp_path):
    kills(tmp_path, 3)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_many_kills(tmp_path):
    kills(tmp_path, 30)
