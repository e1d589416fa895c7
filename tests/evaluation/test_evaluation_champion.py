"""The pointer moves only when the rule passes."""

import pytest

from agri_assets.evaluation.champion import decide
from agri_assets.evaluation.records import Metrics
from agri_assets.evaluation.settings import EvaluationSettings

SETTINGS = EvaluationSettings(champion_margin=0.01, champion_minimum=0.6)


def metrics(model, run, auc, split="s1", **more):
    figures = {"accuracy": 0.9, "precision": 0.9, "recall": 0.9, "f1": 0.9, "pr_auc": 0.9, "ece": 0.1, "brier": 0.1}
    figures["balanced_accuracy"] = 0.9
    known = {"n": 10, "positives": 5, "confusion": ((5, 0), (0, 5)), "threshold": 0.4, "threshold_rule": "f1"}
    named = {"collection": "sample", "framework": "torch", "parameters": 7, "proof": "proved", "cells": 10}
    rest = {"ci95": {}, "data_version": "d", "report": f"report-{run}"}
    values = {**figures, **known, **named, **rest, "split_fingerprint": split, "roc_auc": auc, **more}
    return Metrics(model=model, run=run, **values)


def crown(model, run, auc, **more):
    return decide([metrics(model, run, auc, **more)], None, SETTINGS, "t0").champion


def test_the_best_model_is_the_first_champion():
    decision = decide([metrics("a", "1", 0.8), metrics("b", "2", 0.9)], None, SETTINGS, "t1")
    assert decision.moved
    assert decision.warning is None
    assert (decision.champion.model, decision.champion.value, decision.champion.decided) == ("b", 0.9, "t1")


@pytest.mark.parametrize(("auc", "moves"), [(0.95, True), (0.909, False), (0.85, False)])
def test_a_challenger_must_beat_the_champion_by_the_margin(auc, moves):
    decision = decide([metrics("a", "2", auc)], crown("a", "1", 0.9), SETTINGS, "t1")
    assert decision.moved == moves
    assert decision.champion.run == ("2" if moves else "1")
    assert (decision.warning is None) == moves


def test_a_champion_that_is_still_best_keeps_its_date_and_takes_its_new_report():
    again = metrics("a", "1", 0.88, threshold=0.7, report="new")
    decision = decide([again, metrics("b", "2", 0.8)], crown("a", "1", 0.9), SETTINGS, "t1")
    assert not decision.moved
    assert decision.warning is None
    champion = decision.champion
    assert (champion.value, champion.threshold, champion.report, champion.decided) == (0.88, 0.7, "new", "t0")


def test_another_split_is_decided_afresh():
    decision = decide([metrics("b", "2", 0.7)], crown("a", "1", 0.99, split="s0"), SETTINGS, "t1")
    assert decision.moved
    assert decision.champion.model == "b"


@pytest.mark.parametrize("auc", [0.55, None])
def test_a_model_below_the_minimum_never_becomes_champion(auc):
    assert decide([metrics("a", "1", auc)], None, SETTINGS, "t1").champion is None
    previous = crown("a", "0", 0.9, split="s0")
    decision = decide([metrics("a", "1", auc)], previous, SETTINGS, "t1")
    assert decision.champion == previous
    assert "stays champion" in decision.warning


def test_a_model_whose_probabilities_cannot_be_trusted_never_becomes_champion():
    wrong, right = metrics("a", "1", 0.95, ece=0.3), metrics("b", "2", 0.9)
    decision = decide([wrong, right], None, SETTINGS, "t1")
    assert decision.champion.model == "b"
    assert "a run 1 (roc_auc 0.9500) is left out: its calibration error 0.300" in decision.warning
    worse = decide([metrics("a", "1", 0.8, ece=0.3), right], None, SETTINGS, "t1")
    assert "a run 1 (roc_auc 0.8000) is left out" in worse.warning
    assert decide([right], None, SETTINGS, "t1").warning is None
    previous = crown("c", "0", 0.7)
    alone = decide([wrong], previous, SETTINGS, "t1")
    assert (alone.champion, alone.moved) == (previous, False)
    assert "c stays champion" in alone.warning
