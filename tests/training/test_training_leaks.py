"""Training proves its split and the statistics of its train pixels itself, and begins nothing on a planted leak."""

import json

import pandas as pd
import pytest

from agri_assets.errors import SplitError
from agri_assets.splits.build import build_splits, read_summary
from agri_assets.splits.statistics import statistics_of_train
from agri_assets.training.run import train_model


def copied(frame):
    row = frame.index[frame["split"] == "train"][0]
    return pd.concat([frame, frame.loc[[row]].assign(split="test")])


def moved(frame):
    row = frame.index[frame["split"] == "train"][0]
    return frame.assign(split=frame["split"].where(frame.index != row, "test"))


def of_another_tile(frame):
    return frame.assign(tile=frame["tile"].where(frame["split"] != "val", "33TWL"))


@pytest.mark.parametrize("leak", [copied, moved, of_another_tile])
def test_changed_assignments_stop_training(world, leak):
    leak(pd.read_parquet(world.paths.assignments)).to_parquet(world.paths.assignments, index=False)
    with pytest.raises(SplitError) as caught:
        train_model(world.collection, world.paths, "cnn_vit_hybrid")
    assert "\n" not in str(caught.value)
    assert not world.paths.model("cnn_vit_hybrid").exists()
    assert not build_splits(world.collection, world.paths).reused


def test_statistics_of_all_samples_stop_training(world):
    frame, kept = pd.read_parquet(world.paths.assignments), world.paths.assignments.read_bytes()
    frame.assign(split="train").to_parquet(world.paths.assignments, index=False)
    found = statistics_of_train(world.paths.assignments, world.paths, ("archive",), 0, world.collection.bands)
    world.paths.assignments.write_bytes(kept)
    leaking = read_summary(world.paths).model_copy(update={"mean": found.mean, "std": found.std})
    world.paths.split_summary.write_text(json.dumps(leaking.model_dump(mode="json")))
    with pytest.raises(SplitError, match="its statistics are not those of the train split"):
        train_model(world.collection, world.paths, "cnn_vit_hybrid", {"epochs": 1})
    assert not (world.paths.model("cnn_vit_hybrid") / "current.json").exists()
    assert not build_splits(world.collection, world.paths).reused
    train_model(world.collection, world.paths, "cnn_vit_hybrid", {"epochs": 1})


def test_statistics_of_all_samples_are_refused_although_the_model_is_trained(world):
    train_model(world.collection, world.paths, "cnn_vit_hybrid", {"epochs": 1})
    split = read_summary(world.paths)
    leaking = split.model_copy(update={"mean": tuple(value + 0.01 for value in split.mean)})
    world.paths.split_summary.write_text(json.dumps(leaking.model_dump(mode="json")))
    with pytest.raises(SplitError, match="its statistics are not those of the train split"):
        train_model(world.collection, world.paths, "cnn_vit_hybrid", {"epochs": 1})
    world.paths.split_summary.write_text(json.dumps(split.model_dump(mode="json")))
    assert train_model(world.collection, world.paths, "cnn_vit_hybrid", {"epochs": 1}).reused
