"""Fixtures: made worlds of overlapping tiles, and made archives."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from agri_assets.splits.build import build_splits

_SPEC = importlib.util.spec_from_file_location("made_worlds", Path(__file__).with_name("worlds.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
_WORLDS: ModuleType = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_WORLDS)


@pytest.fixture(scope="session")
def worlds() -> ModuleType:
    return _WORLDS


@pytest.fixture(scope="session")
def _proved(worlds, tmp_path_factory):
    """Two overlapping tiles with their split, and the bytes of every small file of theirs."""
    world = worlds.two_tiles(tmp_path_factory.mktemp("world")).build()
    build_splits(world.collection, world.paths)
    return world, {path: path.read_bytes() for path in _small_files(world)}


@pytest.fixture
def built(_proved):
    """Two overlapping tiles with their split; whatever a test does to it is undone."""
    world, kept = _proved
    yield replace(world)
    for path in _small_files(world) - set(kept):
        path.unlink()
    for path, content in kept.items():
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)


@pytest.fixture
def world(built):
    """Two overlapping tiles without a split."""
    for path in (built.paths.assignments, built.paths.split_summary, built.paths.receipt("splits")):
        path.unlink()
    return built


def _small_files(world) -> set[Path]:
    cubes = world.paths.folder / "cube"
    return {path for path in world.paths.folder.rglob("*") if path.is_file() and cubes not in path.parents}
