"""Made collections, built once; each test works on its own copy of the folder."""

import shutil
from dataclasses import replace

import pytest

from tests.evaluation import studies as made_studies


@pytest.fixture(scope="session")
def studies():
    return made_studies


@pytest.fixture(scope="session")
def built(studies, tmp_path_factory):
    return studies.scene_study(tmp_path_factory.mktemp("scenes"))


@pytest.fixture
def study(built, studies, tmp_path, monkeypatch):
    """A scene collection, ready to report on; models are `BrightnessModel`s."""
    shutil.copytree(built.paths.root, tmp_path / "copy")
    read = lambda folder: studies.BrightnessModel(studies.ModelContract.load(folder))  # noqa: E731
    monkeypatch.setattr("agri_assets.evaluation.report.load_predictor", read)
    return replace(built, paths=replace(built.paths, root=tmp_path / "copy")).with_settings(bootstrap=100)


@pytest.fixture
def undrawn(monkeypatch):
    """Reports without pictures, which cost most of their time."""
    monkeypatch.setattr("agri_assets.evaluation.report.draw", lambda metrics, test, chips: {})


@pytest.fixture
def archive(studies, tmp_path, monkeypatch):
    """An archive collection, ready to report on."""
    read = lambda folder: studies.BrightnessModel(studies.ModelContract.load(folder))  # noqa: E731
    monkeypatch.setattr("agri_assets.evaluation.report.load_predictor", read)
    return studies.archive_study(tmp_path).with_settings(bootstrap=100)
