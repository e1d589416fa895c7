"""Copies of remote shards: the same pixels with fewer requests, within the limit, and never zeros for what vanished."""

import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from agri_assets.cube.manifest import ShardRecord, SlotManifest, manifest_path, write_manifest
from agri_assets.cube.open import cube_info
from agri_assets.errors import ConfigError, CubeError, StoreError
from agri_assets.loading.stream import TileStream
from agri_assets.objects import ObjectPath
from agri_assets.splits import shard_cache
from agri_assets.splits.shard_cache import ShardCache, cache_limit
from agri_assets.splits.shards import ShardReader

TILE = "31TCJ"


@pytest.fixture
def remote(split_world, object_storage, tmp_path, monkeypatch) -> ObjectPath:
    """A cube in object storage, and a cache of a gigabyte for it."""
    cube = ObjectPath(f"s3://bucket/cube/{TILE}.zarr")
    cube.put_folder(split_world.paths.cube(TILE))
    monkeypatch.setenv("AGRI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AGRI_CACHE_GB", "1")
    object_storage.forget()
    return cube


@pytest.fixture
def plain(split_world):
    """All shards of the cube, as they are on disk."""
    reader = ShardReader.open(split_world.paths.cube(TILE))
    count = reader.layout.rows * reader.layout.columns * 2
    return [reader.read(shard) for shard in range(count)]


def copies(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "shards" / "files").glob("*"))


def gets(object_storage) -> int:
    return sum(one.startswith("GET") and "/reflectance/c/" in one for one in object_storage.requests)


def test_each_shard_is_asked_for_once(remote, plain, object_storage, tmp_path):
    for _ in range(2):
        reader = ShardReader.open(remote)
        assert all(np.array_equal(reader.read(number), tiles) for number, tiles in enumerate(plain))
    assert gets(object_storage) == len(plain) == len(copies(tmp_path)) > 4
    assert sum(tiles.any() for tiles in plain) == len(plain)


def test_streams_read_by_way_of_the_cache(remote, split_world, train, object_storage):
    few = train.take(np.flatnonzero((train.tile == train.tiles.index(TILE)) & (train.slot == 0))[:300])
    streams = [TileStream(few, {TILE: cube}, 50, shuffle=True) for cube in (split_world.paths.cube(TILE), remote)]
    asked = []
    for streams[0].epoch in (0, 1):
        streams[1].epoch = streams[0].epoch
        for one, other in zip(*(list(stream) for stream in streams), strict=True):
            assert np.array_equal(one.pixels, other.pixels)
        asked.append(gets(object_storage))
    assert asked[0] == asked[1] > 0


def test_without_a_limit_nothing_is_kept(remote, plain, tmp_path, monkeypatch):
    monkeypatch.delenv("AGRI_CACHE_GB")
    assert np.array_equal(ShardReader.open(remote).read(0), plain[0])
    assert not (tmp_path / "cache").exists()


def test_the_least_recently_used_go_first(remote, plain, tmp_path, monkeypatch):
    reader, order = ShardReader.open(remote), []
    for number in range(len(plain)):
        reader.read(number)
        order += set(copies(tmp_path)) - set(order)
    for moment, path in enumerate(order):
        os.utime(path, (moment, moment))
    reader.read(0)
    total = sum(path.stat().st_size for path in order)
    order[-1].unlink()
    monkeypatch.setenv("AGRI_CACHE_GB", str((total - 1) / 1e9))
    assert np.array_equal(ShardReader.open(remote).read(len(plain) - 1), plain[-1])
    assert set(copies(tmp_path)) == {*order} - {order[1]}


def test_a_shard_larger_than_the_limit_is_read_and_not_kept(remote, plain, tmp_path, monkeypatch):
    monkeypatch.setenv("AGRI_CACHE_GB", "0.000001")
    assert np.array_equal(ShardReader.open(remote).read(1), plain[1])
    assert copies(tmp_path) == []


class Vanishing:
    """An array whose file is taken away just before it is read."""

    def __init__(self, desk, copy, times):
        self.desk, self.copy, self.times, self.seen = desk, copy, times, []

    def __getitem__(self, place):
        if len(self.seen) < self.times:
            self.desk.link.unlink()
            for file in self.copy.parent.glob("*"):
                file.unlink()
        self.seen.append(self.desk.array[place])
        return self.seen[-1]


@pytest.mark.parametrize("times", [1, 2, shard_cache.TRIES])
def test_what_vanishes_before_it_is_read_is_never_zeros(remote, plain, tmp_path, monkeypatch, times):
    cache = ShardReader.open(remote).cache
    desk = cache._desk()
    array = Vanishing(desk, tmp_path / "cache" / "shards" / "files" / "x", times)
    monkeypatch.setattr(ShardCache, "_desk", lambda _: shard_cache._Desk(desk.link, array))
    if times < shard_cache.TRIES:
        assert np.array_equal(cache.read(0, 0, 0).reshape(plain[0].shape), plain[0])
    else:
        with pytest.raises(StoreError, match="emptied while it is in use"):
            cache.read(0, 0, 0)
    # that is what Zarr made of it
    assert len(array.seen) == min(times + 1, shard_cache.TRIES)
    assert not any(seen.any() for seen in array.seen[:times])


def test_a_copy_that_goes_while_it_is_read_changes_nothing(remote, plain, tmp_path, monkeypatch):
    link = os.link

    def linked(source, target):
        link(source, target)
        source.unlink()

    reader = ShardReader.open(remote)
    reader.read(0)
    monkeypatch.setattr(os, "link", linked)
    assert np.array_equal(reader.read(0), plain[0])
    assert copies(tmp_path) == []


def test_many_at_once_with_little_room(remote, plain, tmp_path, monkeypatch):
    ShardReader.open(remote).read(0)
    size = copies(tmp_path)[0].stat().st_size
    monkeypatch.setenv("AGRI_CACHE_GB", str(2.5 * size / 1e9))
    numbers = random.Random(0).choices(range(len(plain)), k=60)
    readers = [ShardReader.open(remote) for _ in range(2)]
    with ThreadPoolExecutor(6) as pool:
        right = pool.map(lambda n: np.array_equal(readers[n % 2].read(n), plain[n]), numbers)
        assert all(right)
    assert sum(path.stat().st_size for path in copies(tmp_path)) <= 2.5 * size


def test_a_cube_that_was_built_anew_is_read_anew(remote, plain):
    info = cube_info(remote)
    old = ShardCache.of(remote, info)
    assert np.array_equal(old.read(0, 0, 0).ravel(), plain[0].ravel())
    (remote / "reflectance/c/0/0/0/0").write_bytes((remote / "reflectance/c/0/0/0/1").read_bytes())
    slots = (info.slots[0].model_copy(update={"digest": "other"}), *info.slots[1:])
    new = ShardCache.of(remote, info.model_copy(update={"slots": slots}))
    assert np.array_equal(new.read(0, 0, 0).ravel(), plain[1].ravel())
    assert np.array_equal(old.read(0, 0, 0).ravel(), plain[0].ravel())


def test_a_damaged_copy_is_made_anew(remote, plain, tmp_path, object_storage):
    reader = ShardReader.open(remote)
    reader.read(0)
    (copy,) = copies(tmp_path)
    copy.write_bytes(copy.read_bytes()[:1000])
    assert np.array_equal(reader.read(0), plain[0])
    assert gets(object_storage) == 2


def test_a_damaged_shard_is_told(remote):
    (remote / "reflectance/c/0/0/0/0").write_bytes(b"x" * 1000)
    with pytest.raises(CubeError, match="shard 0/0: cannot be decoded"):
        ShardReader.open(remote).read(0)


def test_a_lost_shard_is_told_from_an_empty_one(remote, plain):
    (remote / "reflectance/c/0/0/0/0").unlink()
    records = [ShardRecord(array="reflectance", y=0, x=0, state="data")]
    manifest = SlotManifest(slot=0, date=None, scene_id="", fingerprint="", shards=records)
    write_manifest(manifest_path(remote, 0), manifest)
    reader = ShardReader.open(remote)
    with pytest.raises(CubeError, match="slot 0, y=0, x=0: the file of this shard is gone"):
        reader.read(0)
    empty = [records[0].model_copy(update={"state": "empty"})]
    write_manifest(manifest_path(remote, 0), manifest.model_copy(update={"shards": tuple(empty)}))
    assert reader.read(0).shape == plain[0].shape
    assert not reader.read(0).any()


def test_what_killed_processes_left_is_removed(remote, tmp_path):
    reading = tmp_path / "cache" / "shards" / "reading"
    for name in ("old", "new"):
        (reading / name / "tiles").mkdir(parents=True)
    os.utime(reading / "old", (0, 0))
    ShardReader.open(remote)
    assert [path.name for path in reading.iterdir()] == ["new"]


@pytest.mark.parametrize("text", ["many", "0", "-1", "nan", "inf"])
def test_a_limit_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="not a number of gigabytes"):
        cache_limit({"AGRI_CACHE_GB": text})
    assert cache_limit({"AGRI_CACHE_GB": "1.5"}) == 1_500_000_000
    assert cache_limit({}) is None
