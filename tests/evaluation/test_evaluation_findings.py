"""What the checks of reports and of their comparison find."""

import pytest

from agri_assets.evaluation.comparison import compare_models
from agri_assets.evaluation.findings import comparison_findings, report_findings
from agri_assets.evaluation.report import build_report
from agri_assets.limits import Limits

pytestmark = pytest.mark.usefixtures("undrawn")


def test_calibration_is_judged_by_the_limit_of_today(study):
    study.train("resnet50", noise=0.5)
    outcome = build_report(study.collection, study.paths, "resnet50")
    error = outcome.metadata["ece"]
    for limit, passes in ((error * 1.01, True), (error * 0.99, False)):
        collection = study.collection.model_copy(update={"limits": Limits(calibration=limit)})
        (found,) = report_findings(collection, study.paths, outcome)
        assert (found.name, found.passed) == ("calibration", passes)


def test_a_champion_that_was_kept_is_told_again_by_a_run_with_nothing_to_do(study):
    def compare():
        outcome = compare_models(study.collection, study.paths)
        (found,) = comparison_findings(study.collection, study.paths, outcome)
        return outcome, found

    study.train("resnet50", noise=0.0)
    build_report(study.collection, study.paths, "resnet50")
    assert compare()[1].passed
    study.train("resnet50", noise=0.5)
    build_report(study.collection, study.paths, "resnet50")
    for reused in (False, True):
        outcome, found = compare()
        assert outcome.reused is reused
        assert not found.passed
        assert "the champion stays" in found.found
