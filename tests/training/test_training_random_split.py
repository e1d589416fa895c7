"""A random split of the same samples: trained beside the live run, scored, and shown in its report."""

import numpy as np
import pytest

from agri_assets.evaluation.metrics import score
from agri_assets.evaluation.random_split import deal, read_random_split, score_random_split
from agri_assets.evaluation.report import build_report
from agri_assets.loading.samples import load_samples
from agri_assets.models.contract import ModelContract
from agri_assets.splits.settings import ROLES
from agri_assets.store.commit import read_json
from agri_assets.training.run import train_model

MODEL = "cnn_vit_hybrid"


def places(table):
    names = (table.tiles[code] for code in table.tile)
    return list(zip(names, table.slot.tolist(), table.row.tolist(), table.col.tolist(), strict=True))


def test_samples_are_dealt_anew_and_none_is_lost_or_changed(world):
    tables = {role: load_samples(world.paths, role) for role in ROLES}
    dealt = deal(tables, 0)
    told = {
        place: label for role in ROLES for place, label in zip(places(tables[role]), tables[role].label, strict=True)
    }
    assert [len(dealt[role]) for role in ROLES] == [len(tables[role]) for role in ROLES]
    found = [place for role in ROLES for place in places(dealt[role])]
    assert sorted(found) == sorted(told)
    for role in ROLES:
        assert [told[place] for place in places(dealt[role])] == dealt[role].label.tolist()
        kinds = [dealt[role].kinds[code].agricultural for code in dealt[role].kind]
        assert kinds == (dealt[role].label == 1).tolist()
    home = {place: role for role in ROLES for place in places(tables[role])}
    assert {home[place] for place in places(dealt["test"])} == set(ROLES)
    assert places(deal(tables, 0)["test"]) == places(dealt["test"]) != places(deal(tables, 1)["test"])


def test_the_report_shows_what_a_random_split_would_have_said(world, capsys):
    live = train_model(world.collection, world.paths, MODEL)
    current = read_json(world.paths.model(MODEL) / "current.json")
    without = build_report(world.collection, world.paths, MODEL)
    found = score_random_split(world.collection, world.paths, MODEL)
    assert read_json(world.paths.model(MODEL) / "current.json") == current
    probe = next(world.paths.model(MODEL).glob("random-*"))
    contract = ModelContract.load(probe)
    assert contract.proof == "none"
    assert contract.split_fingerprint != ModelContract.load(live.path).split_fingerprint
    assert found.scores.n == len(load_samples(world.paths, "test"))
    assert read_random_split(world.paths, MODEL, live.metadata["run"]) == found
    assert read_random_split(world.paths, MODEL, "another") is None
    again = build_report(world.collection, world.paths, MODEL)
    assert again.path != without.path
    shown = read_json(again.path.parent / "metrics.json")["random_split"]
    assert shown == found.scores.model_dump(mode="json")
    assert "on a random split" in again.path.read_text()
    assert "on a random split" not in without.path.read_text()


def test_the_command_says_what_came_out(world, monkeypatch, capsys):
    from agri_assets.cli import optimism
    from agri_assets.cli.main import main
    from agri_assets.evaluation import random_split

    scores = score(np.array([0, 1, 1, 0]), np.array([0.1, 0.9, 0.8, 0.3]), 0.5)
    made = random_split.RandomSplit(run="r", scores=scores)
    monkeypatch.setattr(random_split, "score_random_split", lambda *_: made)
    assert optimism.HELP
    assert main(["optimism", "sample", MODEL]) == 0
    assert "ROC AUC 1.000, accuracy 1.000" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["optimism", "sample", "vgg"])
