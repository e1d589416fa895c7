"""Made collections, built once; each test works on its own copy of the folder."""

import importlib.util
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

_STUDIES = Path(__file__).parent / "studies.py"


def load_studies():
    spec = importlib.util.spec_from_file_location("made_studies", _STUDIES)
    studies = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = studies
    spec.loader.exec_module(studies)
    return studies


@pytest.fixture(scope="session")
def studies():
    return load_studies()


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
