"""A map that is killed continues where it stopped, and is the same in the end."""

import pytest

from agri_assets.maps.land_map import build_map
from agri_assets.store.fingerprint import run_name
from tests.maps.dying import Counting, killed_after

TILE = "31TCJ"


@pytest.fixture
def counting(monkeypatch):
    """The predictors that are made, in order."""
    made = []

    def load(folder):
        made.append(Counting(folder))
        return made[-1]

    monkeypatch.setattr("agri_assets.maps.land_map.load_predictor", load)
    return made


def test_a_killed_map_predicts_only_what_it_had_not(study, counting):
    whole = build_map(study.collection, study.paths, TILE)
    (first,) = counting
    assert first.windows == whole.metadata["mapped_positions"]
    study.paths.receipt("land_map", TILE).unlink()
    # four shards of at most 1024 positions, 128 at a time: nine batches are the first shard and one of the second
    killed_after(9, study.collection, study.paths, TILE)
    work = study.paths.folder / "maps" / f".{TILE}.work"
    (folder,) = work.iterdir()
    assert folder.name == run_name(whole.fingerprint)
    assert [path.name for path in folder.iterdir()] == ["000_000.npz"]
    again = build_map(study.collection, study.paths, TILE)
    assert again.data_version == whole.data_version
    assert again.metadata == whole.metadata
    assert counting[1].windows < first.windows * 0.6
    assert not work.exists()
    assert whole.pictures["Land map"].read_bytes() == again.pictures["Land map"].read_bytes()


def test_what_was_begun_from_other_inputs_is_forgotten(study, counting, crowned):
    killed_after(9, study.collection, study.paths, TILE)
    crowned(study, study.train("resnet50"), threshold=0.8)
    outcome = build_map(study.collection, study.paths, TILE)
    assert counting[0].windows == outcome.metadata["mapped_positions"]
    assert not (study.paths.folder / "maps" / f".{TILE}.work").exists()
