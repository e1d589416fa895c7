"""A build killed before each of its durable steps: readers see whole dates only, the next run ends as if unharmed."""

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import xarray as xr

from agri_assets.cube.index import read_index
from agri_assets.cube.open import cube_info, open_cube
from agri_assets.cube.verify import verify_cube
from agri_assets.scenes.identity import guard_identity
from agri_assets.store.layout import CollectionPaths
from tests.cube.killing import WAYS, Builder, builder, digest, look, orphans, watched

TILE = "33TWL"


@pytest.fixture(scope="module")
def builds(tmp_path_factory) -> Iterator[Builder]:
    with builder(tmp_path_factory.mktemp("builder")) as process:
        yield process


@dataclass
class World:
    """Two states of a tile's sources: `before` is built, then `after`."""

    site: object
    builds: Builder
    folder: Path
    pointer: Path
    copies: int = 0

    def prepare(self, before, after) -> None:
        """Build the first state, declare the second and build it unharmed in a copy."""
        site = self.site
        self.allowed, self.least = {}, set()
        if before:
            site.inventory(*before)
            assert "version" in self.build(site.paths.root)
            self._note(site.paths)
            self.least = set(self.allowed)
        # written by the first stage of all
        guard_identity(site.collection, site.paths)
        self.began = site.paths.cube(TILE).exists()
        site.inventory(*after)
        self.unharmed = self.copy()
        answer = self.build(self.unharmed.root)
        self.version, self.steps = answer["version"], answer["steps"]
        self._note(self.unharmed)
        self.expected = open_cube(self.unharmed.cube(TILE)).load()

    def _note(self, paths) -> None:
        dataset = open_cube(paths.cube(TILE))
        for number, day in enumerate(dataset["time"].values):
            self.allowed.setdefault(str(day)[:10], set()).add(digest(dataset["reflectance"][number].values))

    def build(self, root: Path, last: int = 0):
        return self.builds.build(self.site.collection, root, TILE, last)

    def copy(self) -> CollectionPaths:
        self.copies += 1
        root = self.folder / f"copy{self.copies}"
        shutil.copytree(self.site.paths.root, root)
        paths = CollectionPaths(root, self.site.paths.collection)
        self.pointer.with_suffix(".new").write_text(str(paths.cube(TILE)))
        self.pointer.with_suffix(".new").replace(self.pointer)
        return paths

    def kill(self, *lasts: int) -> None:
        """Kill builds before these steps, one after the other, look, let the next build end, and compare."""
        paths = self.copy()
        for last in lasts:
            done = self.build(paths.root, last)
            assert done is None or "version" in done, done
            for way in WAYS:
                assert look(way, paths.cube(TILE), self.allowed, self.least) or not self.began
        answer = self.build(paths.root)
        assert answer.get("version") == self.version, (lasts, self.steps[lasts[0] - 1], answer)
        self._compare(paths, lasts)

    def _compare(self, paths: CollectionPaths, lasts) -> None:
        with xr.set_options(keep_attrs=True):
            xr.testing.assert_equal(open_cube(paths.cube(TILE)).load(), self.expected)
        index, theirs = (read_index(one.tiles(TILE)).drop(columns="slot") for one in (paths, self.unharmed))
        assert index.equals(theirs)
        assert verify_cube(paths.cube(TILE)) == []
        assert orphans(paths, TILE) == [], lasts
        # what was copied for a kill long ago is read by nobody any more
        for number in range(2, self.copies - 3):
            shutil.rmtree(self.folder / f"copy{number}", ignore_errors=True)


@pytest.fixture
def world(small, builds, tmp_path) -> World:
    return World(small, builds, tmp_path, tmp_path / "pointer")


def an_append(world: World) -> None:
    """To two dates: one superseded, one that arrives late and one of two granules."""
    site = world.site
    kept = site.scene("2023-08-15", seed=2)
    before = [site.scene("2023-08-10", seed=1), kept]
    late, better = site.scene("2023-08-01", seed=3, hole=slice(0, 256)), site.scene("2023-08-10", seed=7)
    halves = site.scene("2023-08-20", 4, hole=slice(100, 300), hour=9), site.scene("2023-08-20", seed=5, hour=12)
    world.prepare(before, [late, better, kept, *halves])
    info = cube_info(world.unharmed.cube(TILE))
    assert [slot.date for slot in info.slots] == [
        *("2023-08-10", "2023-08-15", "2023-08-01", "2023-08-10", "2023-08-20"),
    ]
    assert [slot.active for slot in info.slots] == [False, True, True, True, True]


def a_first_build(world: World) -> None:
    site = world.site
    world.prepare([], [site.scene("2023-08-10", seed=1, hole=slice(0, 256))])


def a_better_scene(world: World) -> None:
    """One date takes the place of another: a slot becomes inactive in the instant in which the next appears."""
    old, new = world.site.scene("2023-08-10", seed=1), world.site.scene("2023-08-10", seed=7)
    world.prepare([old], [new])
    assert [slot.active for slot in cube_info(world.unharmed.cube(TILE)).slots] == [False, True]


def spread(steps: int, count: int) -> list[int]:
    """Some steps of a build, whichever; the last one always."""
    return sorted({*random.Random(steps).sample(range(1, steps), min(count, steps) - 1), steps})


@pytest.mark.parametrize("prepare", [an_append, a_first_build])
def test_killed_at_some_steps(world, prepare):
    prepare(world)
    with watched(world.pointer, world.allowed, world.least):
        for last in spread(len(world.steps), 4):
            world.kill(last)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("prepare", [a_better_scene, a_first_build])
def test_killed_at_every_step(world, prepare):
    prepare(world)
    with watched(world.pointer, world.allowed, world.least):
        for last in range(1, len(world.steps) + 1):
            world.kill(last)
    print(f"{prepare.__name__}: killed at each of {len(world.steps)} steps; always as if unharmed")


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_killed_and_killed_again_while_it_is_mended(world):
    an_append(world)
    chance, count = random.Random(1), 30
    with watched(world.pointer, world.allowed, world.least):
        for last in spread(len(world.steps), count):
            world.kill(last, chance.randint(1, len(world.steps)))
    print(f"{count} builds killed and killed again while mended; always as if unharmed")
