"""What a check of an asset shows: what was found, by which figures, and what to do."""

import dagster as dg
import pytest

from agri_assets.defs.checks import FINDINGS, FOUND, shown
from agri_assets.store.finding import Finding

KEY = dg.AssetKey(["sample", "splits"])


def test_a_check_that_failed_says_what_to_do():
    (result,) = shown(KEY, [Finding.judged("class_drift", False, "by 40 %", "add tiles", drift=0.4, of=None)])
    assert not result.passed
    assert result.severity is dg.AssetCheckSeverity.WARN
    told = {key: value.value for key, value in result.metadata.items()}
    assert told == {"found": "by 40 %", "what to do": "add tiles", "drift": 0.4}


def test_a_check_that_passed_has_nothing_to_do():
    (result,) = shown(KEY, [Finding.judged("class_drift", True, "by 4 %", "add tiles")])
    assert result.passed
    assert set(result.metadata) == {"found"}


def test_what_must_not_happen_is_an_error():
    (result,) = shown(KEY, [Finding.judged("no_duplicate_pixels", False, "two", "remove one")])
    assert result.severity is dg.AssetCheckSeverity.ERROR


@pytest.mark.parametrize("kind", FINDINGS)
def test_every_check_is_described(kind):
    for name in FINDINGS[kind]:
        assert len(FOUND[name].description) > 30
