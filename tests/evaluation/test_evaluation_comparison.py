"""The comparison uses reports of one split, moves the pointer by its rule, and tells what is missing."""

import pytest

from agri_assets.errors import EvaluationError
from agri_assets.evaluation.comparison import compare_models
from agri_assets.evaluation.records import read_metrics
from agri_assets.evaluation.report import build_report
from agri_assets.store.commit import read_json, write_json

pytestmark = pytest.mark.usefixtures("undrawn")


def report(study, model, noise):
    run = study.train(model, noise=noise)
    build_report(study.collection, study.paths, model)
    return run


def test_the_best_of_the_present_models_becomes_champion(study):
    report(study, "resnet50", 0.5)
    best = report(study, "cnn_vit_hybrid", 0.0)
    outcome = compare_models(study.collection, study.paths)
    champion = read_json(study.paths.champion)
    metrics = read_metrics(study.paths, "cnn_vit_hybrid")
    assert (champion["model"], champion["run"], champion["report"]) == ("cnn_vit_hybrid", best, metrics.report)
    assert (champion["value"], champion["threshold"]) == (metrics.roc_auc, metrics.threshold)
    assert champion["split_fingerprint"] == metrics.split_fingerprint
    assert any(warning.startswith("efficientnet_b3 has no report") for warning in outcome.warnings)
    compared = read_json(study.paths.comparison / "comparison.json")
    assert [one["model"] for one in compared["models"]] == ["cnn_vit_hybrid", "resnet50"]
    assert "cnn_vit_hybrid" in outcome.path.read_text()
    assert compare_models(study.collection, study.paths).reused


def test_a_worse_model_is_warned_of_and_the_champion_stays(study):
    run = report(study, "resnet50", 0.0)
    compare_models(study.collection, study.paths)
    report(study, "resnet50", 0.5)
    outcome = compare_models(study.collection, study.paths)
    assert not outcome.reused
    assert any("the champion stays" in warning for warning in outcome.warnings)
    assert read_json(study.paths.champion)["run"] == run


def test_a_champion_whose_weights_are_gone_is_decided_afresh(study):
    run = report(study, "resnet50", 0.0)
    compare_models(study.collection, study.paths)
    worse = report(study, "resnet50", 0.5)
    (study.paths.model_run("resnet50", run) / "complete.json").unlink()
    compare_models(study.collection, study.paths)
    assert read_json(study.paths.champion)["run"] == worse


def test_a_report_older_than_its_model_is_warned_of(study):
    report(study, "resnet50", 0.0)
    study.train("resnet50", noise=0.1)
    outcome = compare_models(study.collection, study.paths)
    assert any("not the live" in warning and "resnet50_report" in warning for warning in outcome.warnings)


def test_a_report_on_another_split_is_refused_by_name(study):
    report(study, "resnet50", 0.0)
    path = study.paths.report_run("resnet50", read_metrics(study.paths, "resnet50").report) / "metrics.json"
    write_json(path, {**read_json(path), "split_fingerprint": "f" * 64})
    with pytest.raises(EvaluationError, match=r"report of resnet50 is on split ffffffffffff.*key:made/resnet50"):
        compare_models(study.collection, study.paths)


def test_nothing_to_compare_is_refused(study):
    with pytest.raises(EvaluationError, match="no report to compare"):
        compare_models(study.collection, study.paths)


def test_no_model_may_be_good_enough(study):
    report(study, "resnet50", 0.0)
    strict = study.with_settings(champion_minimum=1.0)
    outcome = compare_models(strict.collection, strict.paths)
    assert any("there is no champion" in warning for warning in outcome.warnings)
    assert not study.paths.champion.exists()
    assert "none" in outcome.path.read_text()


def test_models_are_tested_in_pairs_and_stand_beside_published_figures(study):
    report(study, "resnet50", 0.5)
    report(study, "cnn_vit_hybrid", 0.0)
    published = study.with_settings(references={"Somebody, 2020": {"accuracy": 0.923}})
    outcome = compare_models(published.collection, published.paths)
    (pair,) = read_json(study.paths.comparison / "comparison.json")["pairs"]
    assert (pair["better"], pair["other"], pair["metric"]) == ("cnn_vit_hybrid", "resnet50", "roc_auc")
    assert pair["ci95"][0] <= pair["difference"] <= pair["ci95"][1]
    assert pair["only_better"] > pair["only_other"]
    (row,) = outcome.tables["pairs"].rows
    assert row["sure"] == (pair["ci95"][0] > 0)
    text = outcome.path.read_text()
    assert "Somebody, 2020" in text
    assert "Is the best one better?" in text
