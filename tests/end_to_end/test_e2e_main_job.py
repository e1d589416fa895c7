"""The main job by the real commands: what it leaves, that nothing is done twice, and what it refuses."""

import json
import shutil

import pandas as pd
import pyarrow.parquet as pq
import pytest
import rasterio
import rioxarray  # noqa: F401  (gives xarray `.rio`)
import xarray as xr
from rio_cogeo.cogeo import cog_validate

from agri_assets.cube.open import cube_info
from agri_assets.cube.shards import shard_file
from agri_assets.errors import CubeError
from agri_assets.loading.samples import load_samples
from agri_assets.scenes.inventory import read_inventory
from agri_assets.splits.statistics import statistics_of_train
from agri_assets.splits.summary import read_summary
from agri_assets.store.layout import CollectionPaths

pytestmark = pytest.mark.e2e

MODELS = ("resnet50", "efficientnet_b3", "cnn_vit_hybrid")
METRICS = {
    "collection", "model", "framework", "parameters", "split", "proof", "n", "positives", "threshold", "accuracy",
    "precision", "recall", "f1", "roc_auc", "pr_auc", "ece", "confusion", "ci95", "by_class", "split_fingerprint",
    "data_version",
}  # fmt: skip


@pytest.fixture
def paths(finished_home) -> CollectionPaths:
    return CollectionPaths(finished_home.data, "sample")


def report_of(paths: CollectionPaths, model: str):
    return paths.report_run(model, json.loads((paths.report(model) / "current.json").read_text())["run"])


@pytest.mark.parametrize("model", MODELS)
def test_every_model_has_a_whole_report(paths, model):
    folder = report_of(paths, model)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(metrics) >= METRICS
    assert metrics["proof"] == "proved"
    predictions = pq.read_table(folder / "predictions.parquet").to_pandas()
    assert {"tile_id", "date", "label", "probability", "split", "cell"} <= set(predictions.columns)
    test = predictions[predictions.split == "test"]
    assert len(test) == metrics["n"]
    called = test.probability >= metrics["threshold"]
    counts = [[int(((called == column) & (test.label == row)).sum()) for column in (0, 1)] for row in (0, 1)]
    assert counts == metrics["confusion"]
    html = (folder / "report.html").read_text()
    assert html.count("data:image/png;base64,") >= 3
    assert (folder / "complete.json").exists()
    assert list(folder.glob("*.png"))


def test_damaged_product_is_refused_with_its_reason_and_stops_nothing(paths):
    inventory = json.loads(paths.inventory("31TCJ").read_text())
    refused = [entry for entry in inventory["entries"] if entry["state"] == "refused"]
    present = [entry for entry in inventory["entries"] if entry["state"] == "present"]
    assert len(refused) == 1
    assert ".jp2" in refused[0]["reason"]
    assert len(present) == 2


def test_cube_opens_plainly_and_map_stands_on_its_grid(paths):
    cube = xr.open_zarr(paths.cube("31TCJ"))["reflectance"]
    assert cube.dims == ("time", "band", "y", "x")
    assert cube.dtype == "uint16"
    assert cube.sizes["time"] == 2
    assert cog_validate(paths.map("31TCJ"), quiet=True)[0]
    with rasterio.open(paths.map("31TCJ")) as land_map:
        assert land_map.crs == cube.rio.crs
        assert land_map.shape == (cube.sizes["y"], cube.sizes["x"])
        left, top = land_map.transform.c, land_map.transform.f
        assert (float(cube.x[0]) - 5, float(cube.y[0]) + 5) == (left, top)


def test_the_bundle_maps_a_product_on_the_same_grid(finished_home, paths, tmp_path):
    (bundle,) = (paths.folder / "bundle").iterdir()
    inventory = json.loads(paths.inventory("31TCJ").read_text())
    product = next(entry["record"]["location"] for entry in inventory["entries"] if entry["state"] == "present")
    out = tmp_path / "map.tif"
    done = finished_home.run("agri-assets", "predict", str(bundle), product, "--out", str(out))
    assert "positions mapped" in done.stdout
    assert cog_validate(out, quiet=True)[0]
    with rasterio.open(out) as mine, rasterio.open(paths.map("31TCJ")) as land_map:
        assert (mine.crs, mine.transform, mine.shape) == (land_map.crs, land_map.transform, land_map.shape)


def stamps(paths: CollectionPaths) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in paths.folder.rglob("*") if path.is_file()}


def test_nothing_is_done_twice(finished_home, paths):
    before = stamps(paths)
    output = finished_home.materialize("key:sample/tile_cube", "--partition", "31TDJ")
    assert "already up to date" in output
    output = finished_home.materialize("key:sample/splits+ and not key:sample/land_map")
    assert output.count("already up to date") >= 8
    # no trainer was started, not even to find that out
    assert "[pipes]" not in output
    output = finished_home.materialize("key:sample/land_map", "--partition", "31TCJ")
    assert "already up to date" in output
    after = stamps(paths)
    changed = {path for path in after if before.get(path) != after[path]}
    assert not {path for path in changed if ".lock" not in path and "current.json" not in path}


def copy_of(finished_home, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(finished_home.folder, folder)
    return type(finished_home)(folder)


def test_from_a_model_one_can_walk_to_every_scene_and_its_radiometry(finished_home, paths):
    done = finished_home.run("agri-assets", "lineage", "sample", "efficientnet_b3", "--json")
    found = json.loads(done.stdout)
    assert found["split"]["fingerprint"] == read_summary(paths).fingerprint
    assert found["cubes"] == read_summary(paths).cubes
    for tile in found["cubes"]:
        listed = {row["scene_id"]: row for row in found["scenes"] if row["tile"] == tile}
        records = read_inventory(paths, tile).present
        assert set(listed) == {record.scene_id for record in records}
        for record in records:
            row = listed[record.scene_id]
            assert (row["offset"], row["decision"]) == (record.radiometry.offset, record.radiometry.decision)
    counts = read_summary(paths).counts
    assert sum(row["train_samples"] for row in found["scenes"]) == counts["train"].n
    text = finished_home.run("agri-assets", "lineage", "sample", "efficientnet_b3").stdout
    assert all(row["decision"] in text for row in found["scenes"])


def copied(paths):
    """One sample of train stands in test as well."""
    frame = pd.read_parquet(paths.assignments)
    row = frame.index[frame["split"] == "train"][0]
    parts = [frame.loc[:row], frame.loc[[row]].assign(split="test"), frame.loc[row + 1 :]]
    pd.concat(parts).to_parquet(paths.assignments, index=False)


def in_the_buffer(paths):
    """One position that was dropped from train since it is near another split is in train again."""
    frame = pd.read_parquet(paths.assignments)
    role = frame.dropna(subset="split").drop_duplicates("cell").set_index("cell")["split"]
    near = frame[(frame["reason"] == "near another split") & (frame["cell"].map(role) == "train")]
    back = near.index[near["tile_id"] == near["tile_id"].iloc[0]]
    frame.loc[back, "split"] = "train"
    frame.loc[back, "reason"] = None
    frame.to_parquet(paths.assignments, index=False)


def of_all_samples(paths):
    """Mean and std are those of all usable samples, test's among them."""
    kept, split = paths.assignments.read_bytes(), read_summary(paths)
    frame = pd.read_parquet(paths.assignments)
    frame.assign(split=frame["split"].where(frame["split"].isna(), "train")).to_parquet(paths.assignments, index=False)
    found = statistics_of_train(paths.assignments, paths, split.cubes, 0, split.bands)
    paths.assignments.write_bytes(kept)
    leaking = split.model_copy(update={"mean": found.mean, "std": found.std})
    paths.split_summary.write_text(json.dumps(leaking.model_dump(mode="json")))


LEAKS = {
    copied: "listed twice or out of its order",
    in_the_buffer: "nearer than one tile diagonal",
    of_all_samples: "its statistics are not those of the train split",
}


@pytest.mark.parametrize("trained", [False, pytest.param(True, marks=pytest.mark.soak)])
@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.__name__)
def test_a_planted_leak_stops_the_asset_and_the_plain_command(finished_home, tmp_path, leak, trained):
    """Whether or not the model has been trained before, on the split as it was."""
    home, model = copy_of(finished_home, tmp_path), "efficientnet_b3"
    paths = CollectionPaths(home.data, "sample")
    leak(paths)
    before = stamps(paths)
    if not trained:
        shutil.rmtree(paths.model(model))
    plain = home.run("python", "-m", "agri_assets.training", "--collection", "sample", "--model", model, ok=False)
    assert LEAKS[leak] in plain.stdout.splitlines()[-1]
    assert LEAKS[leak] in home.materialize(f"key:sample/{model}", ok=False)
    new = {path for path, stamp in stamps(paths).items() if before.get(path) != stamp and ".lock" not in path}
    assert not new


def test_plain_training_command_knows_what_is_done(finished_home):
    done = finished_home.run(
        "python", "-m", "agri_assets.training", "--collection", "sample", "--model", "efficientnet_b3"
    )
    assert "already up to date" in done.stdout


def test_training_refuses_a_lost_shard_and_never_reads_it_as_zeros(paths):
    table = load_samples(paths, "train")
    cube = paths.cube(table.tiles[0])
    shard = shard_file(cube, cube_info(cube), "reflectance", int(table.slot[0]), 0, 0)
    aside = shard.rename(shard.with_name("aside"))
    try:
        with pytest.raises(CubeError, match="has lost files; materialise tile_cube"):
            load_samples(paths, "train")
    finally:
        aside.rename(shard)
    assert len(load_samples(paths, "train")) == len(table)
