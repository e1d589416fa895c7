"""The whole path with its data root in object storage: the same as on disk, from a server that is often busy."""

import multiprocessing
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from agri_assets.config import Collection, load_collections
from agri_assets.cube.build import build_cube
from agri_assets.cube.index import read_index
from agri_assets.cube.open import cube_info, open_array, open_cube, open_reflectance
from agri_assets.cube.verify import verify_cube
from agri_assets.errors import CubeError
from agri_assets.evaluation.comparison import compare_models
from agri_assets.evaluation.report import build_report
from agri_assets.labels.land_cover import build_land_cover
from agri_assets.maps.land_map import build_map
from agri_assets.objects import ObjectPath, local_copy, locate
from agri_assets.scenes.catalog import build_catalog
from agri_assets.scenes.inventory import take_inventory
from agri_assets.splits.assignments import read_assignments
from agri_assets.splits.build import build_splits
from agri_assets.splits.summary import read_summary
from agri_assets.store import lease
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import read_outcome
from agri_assets.training.recorder import Recorder
from agri_assets.training.run import train_model
from tests.object_storage import environment, use

TILE, MODEL, SHARD = "31TCJ", "cnn_vit_hybrid", 512
ROOT = "s3://bucket/some/root"

COLLECTIONS = f"""
collections:
  sample:
    source: {{kind: sample, path: inbox, tiles: [{TILE}], dates: 2, cloudy_dates: 1, size: 768}}
    bands: [B02, B03, B04, B08, B11]
    tile_size: 32
    labels: {{kind: worldcover}}
    split: {{resolution: 8, seed: 1, min_cells: 1}}
    recipe: {{epochs: 2, batch_size: 64, workers: 0}}
    models:
      {MODEL}: {{options: {{width: 32, depth: 1, heads: 2}}}}
    evaluation: {{champion_minimum: 0.0, champion_ece: 1.0, bootstrap: 100}}
"""


@dataclass(frozen=True)
class Twins:
    """The same collection, built on disk and in object storage."""

    file: Path
    collection: Collection
    disk: CollectionPaths
    remote: CollectionPaths


def build(collection: Collection, paths: CollectionPaths) -> None:
    build_catalog(collection, paths)
    take_inventory(collection, paths, TILE)
    build_land_cover(collection, paths, TILE)
    build_cube(collection, paths, TILE)
    build_splits(collection, paths)


@pytest.fixture(scope="module")
def twins(object_server, tmp_path_factory):
    """Built once, while the server answers 503 to one request in twenty, which it goes on doing."""
    folder = tmp_path_factory.mktemp("twins")
    (folder / "collections.yaml").write_text(COLLECTIONS)
    collection = load_collections(folder / "collections.yaml").collection("sample")
    with pytest.MonkeyPatch.context() as patch:
        use(object_server, patch)
        # several shards, at the far edges narrower ones
        patch.setattr("agri_assets.cube.schema.SHARD_PIXELS", SHARD)
        found = Twins(
            folder / "collections.yaml",
            collection,
            CollectionPaths(folder / "data", "sample"),
            CollectionPaths(locate(ROOT), "sample"),
        )
        build(collection, found.disk)
        object_server.busy.value = 20
        build(collection, found.remote)
        assert object_server.refused > 5
        yield found


def test_pixels_coordinates_index_and_data_versions_are_those_on_disk(twins, object_server):
    disk, remote = twins.disk, twins.remote
    for name in ("reflectance", "scl"):
        ours, theirs = open_array(disk.cube(TILE), name), open_array(remote.cube(TILE), name)
        assert ours.shape == theirs.shape
        everything = tuple(slice(0, length) for length in ours.shape)
        np.testing.assert_array_equal(ours[everything], theirs[everything])
    assert cube_info(remote.cube(TILE)) == cube_info(disk.cube(TILE))
    with xr.set_options(keep_attrs=True):
        xr.testing.assert_identical(open_cube(remote.cube(TILE)).load(), open_cube(disk.cube(TILE)).load())
    assert read_index(remote.tiles(TILE)).equals(read_index(disk.tiles(TILE)))
    assert read_assignments(remote).equals(read_assignments(disk))
    assert read_summary(remote) == read_summary(disk)
    for asset, tile in (("raw_scenes", TILE), ("land_cover", TILE), ("tile_cube", TILE), ("splits", None)):
        ours, theirs = (read_outcome(paths.receipt(asset, tile)) for paths in (disk, remote))
        assert ours.data_version == theirs.data_version
        assert isinstance(theirs.path, ObjectPath)
        assert theirs.whole
    assert verify_cube(remote.cube(TILE)) == []
    assert not list(remote.folder.joinpath("cube").glob("*.lock"))


def test_what_is_done_is_not_done_again(twins, object_server):
    object_server.forget()
    outcome = build_cube(twins.collection, twins.remote, TILE)
    assert outcome.reused
    assert not [request for request in object_server.requests if request.startswith("PUT")]
    assert build_splits(twins.collection, twins.remote).reused


@pytest.mark.parametrize(
    "window",
    [
        (0, 512, 0, 512),
        (512, 768, 0, 512),
        (512, 768, 512, 1024),
        (500, 520, 500, 520),
        (0, 2000, 700, 768),
        (5, 5, 0, 9),
    ],
)
def test_any_window_is_that_of_the_disk(twins, window):
    top, bottom, left, right = window
    place = (slice(1, 2), slice(None), slice(top, bottom), slice(left, right))
    ours, theirs = open_reflectance(twins.disk.cube(TILE)), open_reflectance(twins.remote.cube(TILE))
    np.testing.assert_array_equal(ours[place], theirs[place])
    with pytest.raises(CubeError, match="opened for reading"):
        theirs[place] = 0


def test_a_shard_is_read_by_one_request_also_at_the_edge(twins, object_server):
    array = open_reflectance(twins.remote.cube(TILE))
    object_server.busy.value = 0
    for y, x in ((0, 0), (512, 512)):
        object_server.forget()
        array[0:1, :, y : y + 512, x : x + 512]
        assert len(object_server.requests) <= 2, object_server.requests
    object_server.busy.value = 20


def test_damage_is_found(twins):
    shard = twins.remote.cube(TILE) / "reflectance" / "c" / "0" / "0" / "1" / "1"
    content = shard.read_bytes()
    shard.write_bytes(content[:-5])
    assert [f"has {len(content) - 5} bytes" in line for line in verify_cube(twins.remote.cube(TILE))] == [True]
    shard.unlink()
    assert ["is missing" in line for line in verify_cube(twins.remote.cube(TILE))] == [True]
    shard.write_bytes(content)
    assert verify_cube(twins.remote.cube(TILE)) == []


def _build_until(collection, paths, replacements):
    """Build the cube and end, as if killed, before so many replacements of metadata objects."""
    from agri_assets.cube import commit, schema
    from agri_assets.store.commit import Guarded

    schema.SHARD_PIXELS = SHARD
    root, other, left = Guarded.replace, commit._replace, iter(range(replacements))

    def replace_root(guarded, content):
        if next(left, None) is None:
            os._exit(9)
        root(guarded, content)

    def replace_other(path, content):
        if path.name == "zarr.json" and next(left, None) is None:
            os._exit(9)
        other(path, content)

    Guarded.replace, commit._replace = replace_root, replace_other
    build_cube(collection, paths, TILE)


@pytest.mark.parametrize(
    ("replacements", "dates"),
    [pytest.param(0, 0, marks=pytest.mark.soak), (1, 1), pytest.param(14, 2, marks=pytest.mark.soak)],
)
def test_a_killed_build_is_completed_to_the_same_data(twins, replacements, dates, monkeypatch):
    paths = CollectionPaths(locate(f"s3://bucket/killed{replacements}"), "sample")
    for name in twins.remote.folder.below():
        if not name.startswith(("cube/", "tiles/", "splits/", "models/", "receipts/tile_cube/")):
            (paths.folder / name).write_bytes((twins.remote.folder / name).read_bytes())
    arguments = (twins.collection, paths, replacements)
    process = multiprocessing.get_context("spawn").Process(target=_build_until, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == 9
    assert (paths.cube(TILE) / "zarr.json").exists() == bool(dates)
    if dates:
        theirs = open_reflectance(paths.cube(TILE))
        assert theirs.shape[0] == dates
        everything = tuple(slice(0, length) for length in theirs.shape)
        np.testing.assert_array_equal(theirs[everything], open_reflectance(twins.disk.cube(TILE))[everything])
    for name, seconds in (("EXPIRY_S", 60.0), ("WATCH_S", 0.5), ("POLL_S", 0.1)):
        monkeypatch.setattr(lease, name, seconds)
    outcome = build_cube(twins.collection, paths, TILE)
    assert outcome.data_version == read_outcome(twins.disk.receipt("tile_cube", TILE)).data_version
    assert verify_cube(paths.cube(TILE)) == []


def test_training_is_resumed_by_another_process_then_reported_and_mapped(twins, object_server, monkeypatch):
    begin = Recorder.start_epoch

    def breaks(recorder):
        if recorder.epoch == 1:
            raise RuntimeError("the machine is gone")
        begin(recorder)

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "start_epoch", breaks)
        with pytest.raises(RuntimeError, match="the machine is gone"):
            train_model(twins.collection, twins.remote, MODEL)
    command = [sys.executable, "-m", "agri_assets.training", "--collection", "sample", "--model", MODEL]
    done = subprocess.run(
        [*command, "--collections", str(twins.file), "--set", "workers=1"],
        env={**os.environ, **environment(object_server), "AGRI_DATA_ROOT": ROOT},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "resuming after epoch 1 of 2" in done.stderr
    assert f"{ROOT}/sample/models/{MODEL}" in done.stdout
    trained = train_model(twins.collection, twins.remote, MODEL)
    assert trained.reused
    assert trained.metadata["epochs_resumed"] == 1
    names = sorted(trained.path.below())
    assert names == [
        "complete.json",
        "contract.json",
        "history.json",
        "loss_curve.png",
        "scenes.parquet",
        "weights.safetensors",
    ]

    report = build_report(twins.collection, twins.remote, MODEL)
    assert report.whole
    assert report.path.read_text().startswith("<!doctype html>")
    assert build_report(twins.collection, twins.remote, MODEL).reused
    assert compare_models(twins.collection, twins.remote).whole
    land_map = build_map(twins.collection, twins.remote, TILE)
    assert land_map.metadata["mapped_positions"] == 576
    with local_copy(land_map.path) as file:
        assert file.stat().st_size > 1000
