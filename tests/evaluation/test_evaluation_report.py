"""A report is whole, true to its predictions, done once, and self-contained."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from agri_assets.errors import EvaluationError, SplitError
from agri_assets.evaluation.metrics import ECE_BINS, METRICS, choose_threshold
from agri_assets.evaluation.records import read_metrics
from agri_assets.evaluation.report import build_report
from agri_assets.evaluation.temperature import scaled
from agri_assets.splits.summary import read_summary
from agri_assets.store.commit import read_json

CONTRACT = {
    *("collection", "model", "framework", "parameters", "split", "proof", "n", "positives", "threshold", "accuracy"),
    *("precision", "recall", "f1", "roc_auc", "pr_auc", "ece", "confusion", "ci95", "by_class"),
    *("split_fingerprint", "data_version"),
}
"""Keys of `metrics.json` that other programs read."""


def same_as_scikit_learn(figures, frame, threshold):
    """Every figure of a set of samples is scikit-learn's, and lies in its interval."""
    label, probability, called = frame["label"], frame["probability"], frame["probability"] >= threshold
    expected = {
        "accuracy": reference.accuracy_score(label, called),
        "balanced_accuracy": reference.balanced_accuracy_score(label, called),
        "precision": reference.precision_score(label, called),
        "recall": reference.recall_score(label, called),
        "f1": reference.f1_score(label, called),
        "roc_auc": reference.roc_auc_score(label, probability),
        "pr_auc": reference.average_precision_score(label, probability),
        "brier": reference.brier_score_loss(label, probability),
        "ece": calibration_error(label, probability),
    }
    assert set(expected) == set(METRICS)
    assert {name: figures[name] for name in METRICS} == pytest.approx(expected)
    assert (figures["n"], figures["positives"]) == (len(frame), label.sum())
    for name in METRICS:
        low, high = figures["ci95"][name]
        assert low < figures[name] < high


def calibration_error(label, probability):
    """By scikit-learn's calibration curve, whose bins are of equal width as well."""
    true, told = calibration_curve(label, probability, n_bins=ECE_BINS)
    count, _ = np.histogram(probability, bins=ECE_BINS, range=(0, 1))
    return np.average(np.abs(true - told), weights=count[count > 0])


@pytest.mark.usefixtures("undrawn")
def test_figures_follow_from_the_stored_predictions(study):
    run = study.train("resnet50")
    outcome = build_report(study.collection, study.paths, "resnet50")
    folder, summary = outcome.path.parent, read_summary(study.paths)
    metrics = read_json(folder / "metrics.json")
    frame = pd.read_parquet(folder / "predictions.parquet")
    assert list(frame) == ["tile_id", "date", "label", "probability", "split", "cell"]
    test, val = (frame[frame["split"] == role] for role in ("test", "val"))
    assert (metrics["n"], metrics["positives"]) == (summary.counts["test"].n, summary.counts["test"].positives)
    assert set(metrics) >= CONTRACT
    threshold = choose_threshold(val["label"].to_numpy(), val["probability"].to_numpy(), "f1")
    assert metrics["threshold"] == threshold
    called = test["probability"] >= threshold
    same_as_scikit_learn(metrics, test, threshold)
    both = pd.concat([test, pd.read_parquet(folder / "ambiguous.parquet")])
    same_as_scikit_learn(metrics["with_ambiguous"], both, threshold)
    assert metrics["confusion"] == reference.confusion_matrix(test["label"], called).tolist()
    assert metrics["temperature"] != 1
    own = scaled(test["probability"].to_numpy(), 1 / metrics["temperature"])
    assert metrics["ece_unscaled"] == pytest.approx(calibration_error(test["label"], own), abs=1e-9)
    low, high = metrics["ece_unscaled_ci95"]
    assert low < metrics["ece_unscaled"] < high
    assert (metrics["run"], metrics["report"], metrics["cells"]) == (run, folder.name, test["cell"].nunique())
    assert metrics["roc_auc"] > 0.9
    assert read_json(study.paths.report("resnet50") / "current.json")["run"] == folder.name


@pytest.mark.usefixtures("undrawn")
def test_a_report_is_made_once_and_again_when_its_inputs_change(study):
    study.train("resnet50")
    first = build_report(study.collection, study.paths, "resnet50")
    again = build_report(study.with_settings(champion_minimum=0.9).collection, study.paths, "resnet50")
    assert (again.reused, again.path, again.data_version) == (True, first.path, first.data_version)
    other = build_report(study.with_settings(threshold_rule="youden").collection, study.paths, "resnet50")
    assert not other.reused
    assert other.path != first.path
    build_report(study.collection, study.paths, "resnet50")
    assert read_metrics(study.paths, "resnet50").report == first.path.parent.name
    study.train("resnet50", noise=0.2)
    worse = build_report(study.collection, study.paths, "resnet50")
    assert worse.metadata["roc_auc"] < first.metadata["roc_auc"]


def test_the_page_needs_nothing_beside_it_and_says_everything_in_words(study):
    study.train("resnet50", noise=0.3)
    collection = study.collection.model_copy(update={"licence": "© a test, CC BY 4.0"})
    outcome = build_report(collection, study.paths, "resnet50")
    text = outcome.path.read_text()
    assert not re.search(r"""(src|href)=["'](?!data:)""", text)
    assert "http" not in re.sub(r'base64,[^"]*', "", text)
    assert all(re.search(r'alt="[^"]{20,}"', tag) for tag in re.findall(r"<img [^>]*>", text))
    assert text.count("<h1>") == 1
    assert "© a test, CC BY 4.0" in text
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert "split proved disjoint on the ground" in text
    assert set(outcome.pictures) == {
        "ROC curve",
        "Precision and recall",
        "Confusion matrix",
        "Reliability",
        "Worst mistakes",
        "Errors on the ground",
    }
    assert all(path.stat().st_size < 80_000 for path in outcome.pictures.values())


@pytest.mark.usefixtures("undrawn")
def test_few_cells_and_unproved_splits_are_warned_of(study, archive):
    study.train("resnet50")
    outcome = build_report(study.collection, study.paths, "resnet50")
    assert any("ground cells" in warning for warning in outcome.warnings) == (outcome.metadata["cells"] < 20)
    archive.train("resnet50")
    outcome = build_report(archive.collection, archive.paths, "resnet50")
    assert outcome.metadata["proof"] == "given"
    assert any("optimistic" in warning for warning in outcome.warnings)
    assert "optimistic" in outcome.path.read_text()
    metrics = read_metrics(archive.paths, "resnet50")
    assert metrics.cells == metrics.n
    assert metrics.by_class["Crop"].positives == metrics.positives


def test_a_model_of_another_split_and_one_that_is_not_trained_are_refused(study):
    with pytest.raises(EvaluationError, match=r"resnet50 is not trained; run `dagster .*key:made/resnet50`"):
        build_report(study.collection, study.paths, "resnet50")
    study.train("resnet50", split="0" * 64)
    with pytest.raises(EvaluationError, match="was trained on split 000000000000"):
        build_report(study.collection, study.paths, "resnet50")


def test_a_split_broken_by_hand_is_refused(study):
    study.train("resnet50")
    rows = pd.read_parquet(study.paths.assignments)
    rows.loc[rows.index[rows["split"] == "test"][0], "split"] = "train"
    rows.to_parquet(study.paths.assignments, index=False)
    with pytest.raises(SplitError):
        build_report(study.collection, study.paths, "resnet50")


@pytest.mark.usefixtures("undrawn")
def test_a_crash_leaves_nothing_and_the_old_report_live(study, monkeypatch):
    study.train("resnet50")
    first = build_report(study.collection, study.paths, "resnet50")
    study.train("resnet50", noise=0.1)
    monkeypatch.setattr("agri_assets.evaluation.report.report_page", lambda content: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build_report(study.collection, study.paths, "resnet50")
    folder = study.paths.report("resnet50")
    assert sorted(path.name for path in folder.iterdir()) == sorted([first.path.parent.name, "current.json"])
    assert json.loads((folder / "current.json").read_text())["run"] == first.path.parent.name
