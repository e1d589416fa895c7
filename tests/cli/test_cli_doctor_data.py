"""The doctor and the data: half-made files, and events that tell of other files than there are."""

import dagster as dg
import pytest
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from agri_assets.cli.main import main
from agri_assets.config import load_collections
from agri_assets.scenes.catalog import build_catalog
from agri_assets.store.commit import write_json
from agri_assets.store.layout import CollectionPaths
from agri_assets.store.receipt import Outcome, write_outcome

COLLECTIONS = """
collections:
  sample:
    source: {kind: sample, tiles: [31TCJ, 31TDJ], dates: 1, cloudy_dates: 0, size: 1152}
    bands: [B02, B03, B04]
    labels: {kind: worldcover}
    models: {cnn_vit_hybrid: {}}
  archive:
    source: {kind: archive, path: "${NOT_SET}"}
    bands: [B04, B03, B02]
    labels: {kind: classes, agricultural: [Field]}
    models: {cnn_vit_hybrid: {}}
"""


@pytest.fixture
def instance(tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    (tmp_path / "collections.yaml").write_text(COLLECTIONS)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AGRI_COLLECTIONS", str(tmp_path / "collections.yaml"))
    monkeypatch.setenv("AGRI_DATA_ROOT", str(tmp_path / "data"))
    with dg.DagsterInstance.get() as made:
        yield made


@pytest.fixture
def archive(tmp_path) -> CollectionPaths:
    return CollectionPaths(tmp_path / "data", "archive")


def record(instance, asset: str, version: str, tile: str | None = None) -> None:
    event = dg.AssetMaterialization(asset.split("/"), partition=tile, tags={DATA_VERSION_TAG: version})
    instance.report_runless_asset_event(event)


def store(receipt, version: str) -> None:
    output = receipt.with_name("output")
    receipt.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("whole")
    write_outcome(receipt, Outcome(path=output, fingerprint="f", data_version=version, summary="made"))


def told(capsys) -> str:
    assert main(["doctor"]) == 0
    return capsys.readouterr().out


def test_events_and_files_that_agree_are_not_told_of(instance, archive, capsys):
    store(archive.receipt("tile_cube", "archive"), "v1")
    record(instance, "archive/tile_cube", "v1")
    store(archive.receipt("splits"), "v2")
    record(instance, "archive/splits", "v2")
    assert "Nothing is wrong" in told(capsys)


def test_lost_files_are_told_with_the_command_that_makes_them(instance, archive, capsys):
    store(archive.receipt("splits"), "v1")
    record(instance, "archive/splits", "v1")
    archive.receipt("splits").with_name("output").unlink()
    assert "archive/splits: Dagster has it as made, but its files are gone" in (found := told(capsys))
    assert "--select key:archive/splits`" in found
    # the record stays: only a person knows whether the files are to be made again, or the data root is another one
    assert instance.get_latest_materialization_event(dg.AssetKey(["archive", "splits"])) is not None


def test_the_live_run_of_a_model_and_its_report_is_followed(instance, archive, capsys):
    for asset, folder, run in (
        ("cnn_vit_hybrid", archive.model("cnn_vit_hybrid"), archive.model_run("cnn_vit_hybrid", "abc")),
        ("cnn_vit_hybrid_report", archive.report("cnn_vit_hybrid"), archive.report_run("cnn_vit_hybrid", "abc")),
    ):
        store(run / "complete.json", "v1")
        write_json(folder / "current.json", {"run": "abc", "fingerprint": "f"})
        record(instance, f"archive/{asset}", "v1")
    assert "Nothing is wrong" in told(capsys)
    (archive.report_run("cnn_vit_hybrid", "abc") / "complete.json").unlink()
    assert "archive/cnn_vit_hybrid_report: Dagster has it as made" in (found := told(capsys))
    assert "archive/cnn_vit_hybrid:" not in found


def test_files_that_no_event_tells_of_are_recorded_by_the_next_materialisation(instance, archive, capsys):
    store(archive.receipt("splits"), "v1")
    assert "archive/splits: its files are whole, but no event tells of them" in told(capsys)
    record(instance, "archive/splits", "v0")
    assert "archive/splits: its files are others than the last event tells of" in told(capsys)


def test_tiles_are_compared_one_by_one_and_registered(instance, tmp_path, capsys):
    paths = CollectionPaths(tmp_path / "data", "sample")
    build_catalog(load_collections().collection("sample"), paths)
    for tile in ("31TCJ", "31TDJ"):
        store(paths.receipt("raw_scenes", tile), tile)
        record(instance, "sample/raw_scenes", tile, tile)
    record(instance, "sample/raw_scenes", "any", "retired")
    paths.receipt("raw_scenes", "31TDJ").unlink()
    found = told(capsys)
    assert "2 tiles that Dagster does not know (31TCJ, 31TDJ): register them" in found
    assert instance.get_dynamic_partitions("sample_tiles") == ["31TCJ", "31TDJ"]
    assert "sample/raw_scenes, 1 tiles (31TDJ): Dagster has it as made" in found
    assert "--select key:sample/raw_scenes --partition 31TDJ`" in found
    assert "retired" not in found
    assert "Dagster does not know" not in told(capsys)


def test_half_made_files_are_removed_unless_it_is_a_dry_run(instance, archive, capsys):
    archive.splits.mkdir(parents=True)
    half = archive.splits / ".staging-0123abcd-assignments.parquet"
    half.write_text("half")
    assert main(["doctor", "--dry-run"]) == 0
    assert half.exists()
    assert f"{half} is left of a process that was killed" in told(capsys)
    assert not half.exists()
    assert "Nothing is wrong" in told(capsys)


def test_without_collections_only_dagster_is_looked_at(instance, monkeypatch, capsys):
    monkeypatch.setenv("AGRI_COLLECTIONS", "/nowhere/collections.yaml")
    assert "The data is not looked at" in told(capsys)
