"""What the checks of a model find, by its receipt and its contract."""

import math

import pytest

from agri_assets.limits import Limits
from agri_assets.models.contract import OFFSET_CONVENTIONS, ModelContract
from agri_assets.splits.build import read_summary
from agri_assets.store.receipt import Outcome
from agri_assets.training.findings import model_findings


@pytest.fixture
def find(world, tmp_path):
    """What is found of a model with some figures, fed by the split's mean shifted by so much."""
    split = read_summary(world.paths)

    def found(shift=0.0, limits=None, **figures):
        ModelContract(
            model="cnn_vit_hybrid",
            framework="torch",
            collection="tiny",
            bands=split.bands,
            units=split.units,
            offset_convention=OFFSET_CONVENTIONS[split.units],
            mean=tuple(value + shift for value in split.mean),
            std=split.std,
            tile_size=split.tile_size,
            split_fingerprint=split.fingerprint,
            proof=split.proof,
            options={},
            parameters=1,
            weights_digest="",
        ).save(tmp_path)
        told = {"train_loss": 0.5, "val_loss": 0.4, "data_wait": 0.01, **figures}
        outcome = Outcome(path=tmp_path, fingerprint="", data_version="", summary="", metadata=told)
        collection = world.collection.model_copy(update={"limits": limits or Limits()})
        return {finding.name: finding for finding in model_findings(collection, split, outcome)}

    return found


def test_a_sound_training_passes(find):
    found = find()
    assert set(found) == {"finite_loss", "train_statistics", "data_wait"}
    assert all(finding.passed for finding in found.values())


@pytest.mark.parametrize("loss", [math.nan, math.inf, None])
def test_a_loss_that_is_no_number_fails(find, loss):
    assert not find(val_loss=loss)["finite_loss"].passed


def test_statistics_of_other_pixels_fail(find):
    assert not find(shift=1e-6)["train_statistics"].passed


def test_waiting_for_data_is_told_by_the_limit(find):
    assert "recipe.workers" in find(data_wait=0.06)["data_wait"].todo
    assert find(data_wait=0.06, limits=Limits(data_wait=0.1))["data_wait"].passed
