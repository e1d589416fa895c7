"""Builds that are killed at a chosen step, and a reader who watches meanwhile, whichever way people open a cube."""

import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

from agri_assets.config import Collection
from agri_assets.cube.manifest import manifest_folder
from agri_assets.cube.open import cube_info, open_array, open_cube, read_block
from agri_assets.errors import CubeError
from agri_assets.store.commit import STAGING_PREFIX
from agri_assets.store.layout import CollectionPaths

SHARD = 256
"""Edge of the shards of the small site, in pixels."""

BUILDER = """
import json, os, signal, sys, threading
import geopandas, geopandas.io._geoarrow, pyarrow.dataset
from PIL import Image
from pathlib import Path
from agri_assets.config import Collection
from agri_assets.cube import schema
from agri_assets.cube.build import build_cube
from agri_assets.objects import locate
from agri_assets.store.layout import CollectionPaths

Image.init()

STEPS = ("replace", "rename", "link", "fsync", "unlink", "remove", "rmdir", "mkdir", "truncate")
lock, done = threading.Lock(), []

def fill(path):
    with open(path, "wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass

def counted(name, real, last, filler):
    def step(*arguments, **options):
        with lock:
            done.append(name)
            if len(done) == last:
                fill(filler) if filler else os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)
    return step

def work(order):
    schema.SHARD_PIXELS = order["shard"]
    collection = Collection.model_validate_json(order["collection"])
    for name in STEPS:
        setattr(os, name, counted(name, getattr(os, name), order["last"], order["filler"]))
    try:
        outcome = build_cube(collection, CollectionPaths(locate(order["root"]), order["name"]), order["tile"])
        answer = {"version": outcome.data_version}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    steps = list(done)
    Path(order["answer"]).write_text(json.dumps({**answer, "steps": steps}))

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        try:
            work(json.loads(line))
        finally:
            os._exit(0)
    print(os.waitpid(child, 0)[1], flush=True)
"""
"""Imports once and then forks for each build: a build whose n-th durable step is the death of its process."""


@dataclass(frozen=True)
class Builder:
    """A process that starts builds."""

    process: subprocess.Popen[str]
    answers: Path

    def build(
        self, collection: Collection, root: Path, tile: str, last: int = 0, filler: str = ""
    ) -> dict[str, Any] | None:
        """Build, and before the step of this number (from 1) be killed, or fill the disk by the file `filler`.

        Returns:
            What came of it; None if it was killed.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.answers.unlink(missing_ok=True)
        order = {"collection": collection.model_dump_json(), "name": collection.name, "root": str(root), "tile": tile}
        order |= {"last": last, "answer": str(self.answers), "shard": SHARD, "filler": filler}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        status = int(self.process.stdout.readline())
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) == signal.SIGKILL
            return None
        answer: dict[str, Any] = json.loads(self.answers.read_text())
        return answer


@contextmanager
def builder(folder: Path) -> Iterator[Builder]:
    """A builder for the length of the block."""
    command = [sys.executable, "-W", "ignore", "-c", BUILDER]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Builder(process, folder / "answer.json")
    finally:
        process.kill()
        process.communicate()


Seen = list[tuple[str | None, str]]
"""Days, as far as they are known, and digests of their pixels."""


def digest(pixels: Any) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels)).hexdigest()


def _by_open_cube(cube: Path) -> Seen:
    dataset = open_cube(cube)
    days = [str(day)[:10] for day in dataset["time"].values]
    assert days == sorted(set(days)), days
    return [(day, digest(dataset["reflectance"][number].values)) for number, day in enumerate(days)]


def _by_xarray(cube: Path) -> Seen:
    dataset = xr.open_zarr(cube)
    days = [str(day)[:10] for day in dataset["time"].values]
    return [(day, digest(dataset["reflectance"][number].values)) for number, day in enumerate(days)]


def _by_group(cube: Path) -> Seen:
    group = zarr.open_group(cube, mode="r")
    pixels, days = group["reflectance"], np.asarray(group["time"][:]).astype("datetime64[D]")
    assert len(days) == pixels.shape[0], (len(days), pixels.shape)
    return [(str(day), digest(pixels[number])) for number, day in enumerate(days)]


def _by_array(cube: Path) -> Seen:
    pixels = zarr.open_array(cube / "reflectance", mode="r")
    return [(None, digest(pixels[number])) for number in range(pixels.shape[0])]


def _by_loader(cube: Path) -> Seen:
    info, array = cube_info(cube), open_array(cube, "reflectance")
    shape = (info.height, info.width)
    return [(slot.date, digest(read_block(array, slot.slot, 0, 0, shape))) for slot in info.active]


WAYS: dict[str, Callable[[Path], Seen]] = {
    "open_cube": _by_open_cube,
    "xarray.open_zarr": _by_xarray,
    "zarr.open_group": _by_group,
    "zarr.open_array": _by_array,
    "open_array": _by_loader,
}


def look(way: str, cube: Path, allowed: Mapping[str, set[str]], least: set[str]) -> bool:
    """Read all of a cube one way; False where it is not there.

    Args:
        way: Which.
        cube: The cube.
        allowed: By day, the digests of all that may ever be seen of it.
        least: Days that must be seen once the cube is there.
    """
    try:
        seen = WAYS[way](cube)
    except FileNotFoundError:
        return False
    except KeyError:
        # xarray looks for a root, finds none, and looks for arrays without it, while the first root appears
        assert not least
        assert way == "xarray.open_zarr"
        return False
    except CubeError as error:
        if "no readable cube" not in str(error):
            raise
        return False
    whatever = set().union(*allowed.values())
    for day, found in seen:
        assert found in (whatever if day is None else allowed[day]), f"{way}: {day} is not whole"
    days = {day for day, _ in seen}
    assert None in days or least <= days, f"{way}: only {days}"
    return True


def _watch(pointer: Path, allowed: dict[str, set[str]], least: set[str], events: Any, answer: Any) -> None:
    (began, ended), polls, errors, there = events, 0, [], set()
    warnings.simplefilter("ignore")
    while not ended.wait(0.1) and not errors:
        cube = Path(pointer.read_text())
        for way in WAYS:
            try:
                if look(way, cube, allowed, least):
                    there.add((way, cube))
                else:
                    assert (way, cube) not in there, f"{way}: {cube} has vanished"
                    assert not least, f"{way}: {cube} is not there"
            except Exception as error:
                errors.append(f"{type(error).__name__}: {error}")
            polls += 1
        began.set()
    answer.put((polls, errors))


@contextmanager
def watched(pointer: Path, allowed: Mapping[str, set[str]], least: set[str]) -> Iterator[None]:
    """A reader in a process of its own that polls the cube whose path stands in `pointer`, in every way."""
    context = multiprocessing.get_context("spawn")
    (began, ended), answer = (context.Event(), context.Event()), context.SimpleQueue()
    arguments = (pointer, {day: set(found) for day, found in allowed.items()}, set(least), (began, ended), answer)
    reader = context.Process(target=_watch, args=arguments)
    reader.start()
    try:
        assert began.wait(120)
        yield
    finally:
        ended.set()
        until = time.monotonic() + 60
        while answer.empty() and reader.is_alive() and time.monotonic() < until:
            time.sleep(0.05)
        found = None if answer.empty() else answer.get()
        reader.join(30)
        reader.kill()
    assert found is not None, "the reader died"
    polls, errors = found
    assert not errors, errors
    assert polls > 0
    print(f"the reader looked {polls} times")


def orphans(paths: CollectionPaths, tile: str) -> list[str]:
    """Files below a collection's folder that nothing committed names."""
    cube = paths.cube(tile)
    slots = {slot.slot for slot in cube_info(cube).slots}
    left = [path for path in paths.folder.rglob("*") if path.name.startswith(STAGING_PREFIX)]
    left += paths.folder.rglob("*.partial")
    for name in ("reflectance", "scl", "time"):
        left += [path for path in (cube / name / "c").iterdir() if int(path.name) not in slots]
    numbers = [(path, path.stem.removeprefix("slot-")) for path in manifest_folder(cube).iterdir()]
    left += [path for path, number in numbers if number != path.stem and int(number) not in slots]
    return [str(path) for path in left]
