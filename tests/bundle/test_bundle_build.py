"""The bundle is the champion: it predicts what is stored, or it is not made."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from agri_assets.bundle import agreement
from agri_assets.bundle.build import build_bundle
from agri_assets.bundle.contract import CARD_FILE, INT8_FILE, ONNX_FILE, BundleContract
from agri_assets.bundle.runner import load_runner
from agri_assets.errors import EvaluationError, ModelError
from agri_assets.evaluation.champion import read_champion
from agri_assets.evaluation.metrics import score
from agri_assets.evaluation.predictions import predict
from agri_assets.evaluation.records import read_report
from agri_assets.loading.samples import load_samples
from agri_assets.models.contract import ModelContract
from agri_assets.models.weights import WEIGHTS_FILE
from agri_assets.splits.summary import read_summary
from agri_assets.store.commit import write_json
from agri_assets.store.fingerprint import file_digest


@pytest.fixture(scope="module")
def built(reported):
    """The collection with its bundle, which no test may change; of an untrained network 8 bits change the order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agreement, "LOSS_LIMIT", 100.0)
        return build_bundle(reported.collection, reported.paths)


@pytest.fixture
def study(reported, built, tmp_path, monkeypatch):
    """A copy of the collection without a bundle; its networks are taken from there, since exports take seconds."""
    shutil.copytree(reported.paths.root, tmp_path / "copy")
    copy = replace(reported, paths=replace(reported.paths, root=tmp_path / "copy"))
    shutil.rmtree(copy.paths.folder / "bundle")
    copy.paths.receipt("bundle").unlink()
    monkeypatch.setattr(
        "agri_assets.bundle.export.export_onnx", lambda run, t, target: shutil.copy(built.path / ONNX_FILE, target)
    )
    monkeypatch.setattr(
        "agri_assets.bundle.quantize.quantize",
        lambda source, target, tiles: shutil.copy(built.path / INT8_FILE, target),
    )
    return copy


def predictions(study):
    champion = read_champion(study.paths)
    return study.paths.report_run(champion.model, champion.report) / "predictions.parquet"


def test_the_bundle_predicts_what_is_stored(reported, built):
    contract = BundleContract.load(built.path)
    samples = load_samples(reported.paths, "test")
    cubes = {tile: reported.paths.cube(tile) for tile in read_summary(reported.paths).cubes}
    found = predict(load_runner(built.path, contract), samples, cubes, "again")
    stored = pd.read_parquet(predictions(reported))
    stored = stored[stored["split"] == "test"]["probability"].to_numpy()
    np.testing.assert_allclose(found, stored, rtol=0, atol=1e-4)
    assert np.ptp(found) > 0.1
    assert contract.agreement.tiles == min(len(stored), agreement.COMPARED)
    assert 0 <= contract.agreement.network <= 1e-4
    assert contract.agreement.stored <= np.abs(found - stored).max() + 1e-6


def test_the_contract_says_what_the_model_is(reported, built):
    contract, champion = BundleContract.load(built.path), read_champion(reported.paths)
    run = reported.paths.model_run(champion.model, champion.run)
    trained = ModelContract.load(run)
    assert {name: getattr(contract, name) for name in ModelContract.model_fields} == dict(trained)
    assert (contract.threshold, contract.temperature) == (champion.threshold, champion.temperature)
    assert contract.pixel_size == 10.0
    metrics = read_report(reported.paths.report_run(champion.model, champion.report))
    assert contract.test.values["roc_auc"] == metrics.roc_auc
    assert contract.test.ci95["f1"] == metrics.ci95["f1"]
    assert set(contract.files) >= {WEIGHTS_FILE, ONNX_FILE, INT8_FILE}
    for name, digest in contract.files.items():
        assert file_digest(built.path / name) == digest
    assert (built.path / WEIGHTS_FILE).read_bytes() == (run / WEIGHTS_FILE).read_bytes()


def test_the_card_shows_figures_with_intervals(reported, built):
    card = (built.path / CARD_FILE).read_text()
    champion = read_champion(reported.paths)
    metrics = read_report(reported.paths.report_run(champion.model, champion.report))
    assert BundleContract.load(built.path).licence == reported.collection.licence
    low, high = metrics.ci95["roc_auc"]
    assert f"| ROC AUC | {metrics.roc_auc:.4f} | {low:.4f} to {high:.4f} |" in card
    for name in metrics.by_class:
        assert f"| {name} |" in card
    for said in (
        "agri-assets predict",
        "proved disjoint",
        "B04",
        "Licence and attribution: CC BY 4.0, of a test.",
        "### The 8-bit network",
        "(roc.png)",
    ):
        assert said in card
    assert (built.path / "roc.png").exists()


def test_the_8_bit_network_is_measured(reported, built):
    contract = BundleContract.load(built.path)
    samples = load_samples(reported.paths, "test")
    cubes = {tile: reported.paths.cube(tile) for tile in read_summary(reported.paths).cubes}
    found = predict(load_runner(built.path, contract, int8=True), samples, cubes, "again")
    int8, wanted = contract.int8, score(samples.label.astype(np.int64), found, contract.threshold)
    assert (int8.roc_auc_int8, int8.accuracy_int8) == pytest.approx((wanted.roc_auc, wanted.accuracy), abs=1e-9)
    assert int8.roc_auc == contract.test.values["roc_auc"]
    assert int8.loss == pytest.approx(100 * (int8.roc_auc - int8.roc_auc_int8))
    assert int8.speedup > 0
    assert int8.shipped
    assert not built.warnings


def test_a_bundle_is_made_once(reported, built, monkeypatch):
    assert not built.reused
    monkeypatch.setattr("agri_assets.bundle.export.export_onnx", None)
    again = build_bundle(reported.collection, reported.paths)
    assert again.reused
    assert again.path == built.path


def test_another_threshold_makes_another_bundle(study):
    champion = read_champion(study.paths)
    first = build_bundle(study.collection, study.paths)
    write_json(study.paths.champion, champion.model_copy(update={"threshold": 0.123}).model_dump(mode="json"))
    second = build_bundle(study.collection, study.paths)
    assert not second.reused
    assert second.data_version != first.data_version
    assert BundleContract.load(second.path).threshold == 0.123


def test_an_8_bit_network_that_loses_too_much_is_left_out(study, monkeypatch):
    monkeypatch.setattr(agreement, "LOSS_LIMIT", -200.0)
    outcome = build_bundle(study.collection, study.paths)
    (warning,) = outcome.warnings
    assert "left out" in warning
    assert not (outcome.path / INT8_FILE).exists()
    contract = BundleContract.load(outcome.path)
    assert not contract.int8.shipped
    assert INT8_FILE not in contract.files
    with pytest.raises(ModelError, match=r"has no model\.int8\.onnx"):
        load_runner(outcome.path, contract, int8=True)


def test_a_network_that_predicts_something_else_is_refused(study):
    path = predictions(study)
    frame = pd.read_parquet(path)
    frame.loc[frame["split"] == "test", "probability"] *= 0.999
    frame.to_parquet(path, index=False)
    with pytest.raises(ModelError, match=r"more than 0\.0001; no bundle was made"):
        build_bundle(study.collection, study.paths)
    assert not list(study.paths.folder.glob("bundle/*"))
    frame[1:].to_parquet(path, index=False) if frame["split"].iloc[0] == "test" else frame[:-1].to_parquet(path)
    with pytest.raises(EvaluationError, match="not of the present test split"):
        build_bundle(study.collection, study.paths)


def test_there_must_be_a_champion_of_the_present_split(study):
    champion = read_champion(study.paths)
    other = champion.model_copy(update={"split_fingerprint": "0" * 64})
    write_json(study.paths.champion, other.model_dump(mode="json"))
    with pytest.raises(EvaluationError, match="was judged on split 000000000000, the present one is"):
        build_bundle(study.collection, study.paths)
    study.paths.champion.unlink()
    with pytest.raises(EvaluationError, match="there is no champion to bundle"):
        build_bundle(study.collection, study.paths)
