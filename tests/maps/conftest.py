"""The made scene collection of the evaluation tests, with a champion to map with."""

import shutil
from dataclasses import replace

import pytest

from agri_assets.splits.summary import read_summary
from agri_assets.store.commit import write_json
from tests.evaluation import studies as made_studies


@pytest.fixture(scope="session")
def studies():
    return made_studies


@pytest.fixture(scope="session")
def built(studies, tmp_path_factory):
    return studies.scene_study(tmp_path_factory.mktemp("scenes"))


@pytest.fixture
def study(built, studies, tmp_path, monkeypatch):
    """A scene collection whose champion is a `BrightnessModel` with threshold 0.5."""

    def read(folder):
        return studies.BrightnessModel(studies.ModelContract.load(folder))

    shutil.copytree(built.paths.root, tmp_path / "copy")
    monkeypatch.setattr("agri_assets.maps.land_map.load_predictor", read)
    copy = replace(built, paths=replace(built.paths, root=tmp_path / "copy"))
    crown(copy, copy.train("resnet50"))
    return copy


def crown(study, run, **changed):
    """Point to a run as the champion."""
    split = read_summary(study.paths).fingerprint
    known = {"model": "resnet50", "run": run, "report": "0" * 12, "metric": "roc_auc", "value": 0.9, "threshold": 0.5}
    write_json(study.paths.champion, {**known, "split_fingerprint": split, "decided": "2024-01-01", **changed})


@pytest.fixture
def crowned():
    """The function that moves the champion pointer."""
    return crown
