import json
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from agri_assets.errors import ConfigError, ModelError, SplitError, StoreError, TrainingError
from agri_assets.models.contract import ModelContract
from agri_assets.models.predictor import load_predictor
from agri_assets.models.weights import WEIGHTS_FILE, load_weights
from agri_assets.store.commit import locked
from agri_assets.training.done import find_trained
from agri_assets.training.plan import plan_training
from agri_assets.training.recorder import Recorder
from agri_assets.training.run import train_model

SMALL_KERAS = {"epochs": 2, "batch_size": 32}


class Interrupted(Exception):
    """Stands for whatever ends a training from outside."""


def interrupt_after(monkeypatch, epochs: int) -> None:
    """Fail at the first step of the epoch after `epochs` whole ones."""
    step = Recorder.step

    def failing(self, samples):
        if self.epoch == epochs:
            raise Interrupted
        step(self, samples)

    monkeypatch.setattr(Recorder, "step", failing)


def test_a_training_learns_and_leaves_a_whole_run_folder(world):
    outcome = train_model(world.collection, world.paths, "cnn_vit_hybrid")
    assert outcome.metadata["val_roc_auc"] > 0.9
    folder = world.paths.model_run("cnn_vit_hybrid", outcome.metadata["run"])
    assert outcome.path == folder
    assert outcome.whole
    names = {item.name for item in folder.iterdir()}
    assert names == {
        "weights.safetensors",
        "contract.json",
        "history.json",
        "loss_curve.png",
        "scenes.parquet",
        "complete.json",
    }
    assert (folder / "loss_curve.png").stat().st_size < 80_000
    current = json.loads((world.paths.model("cnn_vit_hybrid") / "current.json").read_text())
    assert current == {"run": folder.name, "fingerprint": outcome.fingerprint}
    for figure in ("samples_per_s", "data_wait", "peak_memory_mb", "train_seconds", "parameters"):
        assert outcome.metadata[figure] > 0
    contract = ModelContract.load(folder)
    assert (contract.bands, contract.units, contract.tile_size) == (world.collection.bands, "dn8", 32)
    assert load_predictor(folder).predict(np.full((2, 3, 32, 32), 100, np.uint16)).shape == (2,)


def test_the_classes_of_labels_are_learnt_and_summed(tmp_path, make_world):
    lakes = make_world(tmp_path, lakes=True)
    settings = {"test_orientations": True, "cutmix": 1.0, "mix_probability": 0.5, "balance": "weights"}
    outcome = train_model(lakes.collection, lakes.paths, "cnn_vit_hybrid", settings)
    assert outcome.metadata["val_roc_auc"] > 0.9
    assert outcome.metadata["outputs"] == 3
    contract = ModelContract.load(outcome.path)
    assert [(one.name, one.agricultural) for one in contract.classes] == [
        ("Forest", False),
        ("Lake", False),
        ("Field", True),
    ]
    assert contract.test_orientations
    dark = np.random.default_rng(0).normal(60, 5, (4, 3, 32, 32)).astype(np.uint16)
    assert load_predictor(outcome.path).predict(dark).max() < 0.5
    plain = train_model(lakes.collection, lakes.paths, "cnn_vit_hybrid", {"fine_classes": False, "epochs": 1})
    assert ModelContract.load(plain.path).classes == ()


def test_a_training_begins_with_the_weights_of_a_file(world, tmp_path):
    torch.manual_seed(3)
    file, made = tmp_path / "trunk.safetensors", timm.create_model("resnet18")
    save_file(made.state_dict(), file)
    settings = {"epochs": 1, "pretrained": str(file), "learning_rate": 1e-12, "ema_decay": 0}
    outcome = train_model(world.collection, world.paths, "cnn_vit_hybrid", settings)
    found = load_weights(outcome.path / WEIGHTS_FILE)["backbone.trunk.layer1.0.conv1.weight"]
    np.testing.assert_allclose(found, made.state_dict()["layer1.0.conv1.weight"].numpy(), atol=1e-6)
    moved = file.rename(tmp_path / "moved.safetensors")
    assert train_model(world.collection, world.paths, "cnn_vit_hybrid", {**settings, "pretrained": str(moved)}).reused
    made.conv1.weight.data.zero_()
    save_file(made.state_dict(), moved)
    plan = plan_training(world.collection, world.paths, "cnn_vit_hybrid", {**settings, "pretrained": str(moved)})
    assert not plan.done


def test_a_done_training_is_not_done_again(world, monkeypatch):
    first = train_model(world.collection, world.paths, "cnn_vit_hybrid", {"epochs": 1})
    pointer = world.paths.model("cnn_vit_hybrid") / "current.json"
    pointer.unlink()
    monkeypatch.setattr("agri_assets.training.run._train", None)
    again = train_model(world.collection, world.paths, "cnn_vit_hybrid", {"epochs": 1, "workers": 0})
    assert again.reused
    assert again.data_version == first.data_version
    assert json.loads(pointer.read_text())["run"] == first.metadata["run"]


def test_a_done_training_is_found_without_a_trainer_as_long_as_its_split_holds(world):
    first = train_model(world.collection, world.paths, "cnn_vit_hybrid", {"epochs": 1})
    pointer = world.paths.model("cnn_vit_hybrid") / "current.json"
    pointer.unlink()
    assert find_trained(world.collection, world.paths, "cnn_vit_hybrid", {"epochs": 2}) is None
    assert not pointer.exists()
    found = find_trained(world.collection, world.paths, "cnn_vit_hybrid", {"epochs": 1})
    assert found.reused
    assert found.data_version == first.data_version
    assert json.loads(pointer.read_text())["run"] == first.metadata["run"]
    world.paths.assignments.unlink()
    with pytest.raises(SplitError, match="no such file"):
        find_trained(world.collection, world.paths, "cnn_vit_hybrid", {"epochs": 1})


def test_the_plan_follows_the_recipe(world):
    run = plan_training(world.collection, world.paths, "cnn_vit_hybrid").run
    assert plan_training(world.collection, world.paths, "cnn_vit_hybrid", {"workers": 3}).run == run
    assert plan_training(world.collection, world.paths, "cnn_vit_hybrid", {"seed": 1}).run != run
    assert plan_training(world.collection, world.paths, "efficientnet_b3").run != run


@pytest.mark.parametrize(
    ("model", "recipe"),
    [
        ("cnn_vit_hybrid", {"epochs": 3}),
        # the real ResNet-50; a small Keras network stands in for it in test_training_keras.py
        pytest.param("resnet50", {**SMALL_KERAS, "jitter": 0.1}, marks=pytest.mark.soak),
    ],
)
def test_an_interrupted_training_resumes_to_the_same_weights(world, tmp_path, monkeypatch, model, recipe):
    straight = train_model(world.collection, world.paths, model, recipe)
    wanted = load_weights(straight.path / WEIGHTS_FILE)
    shutil.rmtree(world.paths.model(model))
    with monkeypatch.context() as patch:
        interrupt_after(patch, recipe["epochs"] - 1)
        with pytest.raises(Interrupted):
            train_model(world.collection, world.paths, model, recipe)
    assert not (straight.path / "complete.json").exists()
    assert (straight.path / "checkpoints").exists()
    resumed = train_model(world.collection, world.paths, model, recipe)
    assert resumed.metadata["epochs_resumed"] == recipe["epochs"] - 1
    assert resumed.metadata["epochs"] == recipe["epochs"]
    found = load_weights(resumed.path / WEIGHTS_FILE)
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)


def test_shuffled_labels_teach_nothing(tmp_path, make_world):
    shuffled = make_world(tmp_path, per_class=120, shuffled=True)
    outcome = train_model(shuffled.collection, shuffled.paths, "cnn_vit_hybrid", {"ema_decay": 0.0})
    last = outcome.tables["epochs"].rows[-1]
    # 1.96 standard errors of an AUC of 0.5 with about 36 of each class are 0.13
    assert abs(last["val_auc"] - 0.5) < 0.2


def test_a_broken_split_is_refused(world):
    import pandas as pd

    rows = pd.read_parquet(world.paths.assignments)
    rows.loc[rows.index[rows["split"] == "test"][0], "split"] = "train"
    rows.to_parquet(world.paths.assignments, index=False)
    with pytest.raises(SplitError):
        train_model(world.collection, world.paths, "cnn_vit_hybrid")
    assert not world.paths.model("cnn_vit_hybrid").exists()


def test_a_run_in_use_is_refused(world, monkeypatch):
    monkeypatch.setattr("agri_assets.training.run.LOCK_WAIT_S", 0.1)
    plan = plan_training(world.collection, world.paths, "cnn_vit_hybrid")
    with locked(plan.folder, "run"), pytest.raises(StoreError, match="is in use by another process"):
        train_model(world.collection, world.paths, "cnn_vit_hybrid")


@pytest.mark.parametrize(
    ("model", "overrides", "error", "told"),
    [
        ("vgg", {}, ConfigError, "tiny does not train 'vgg'; it trains"),
        ("cnn_vit_hybrid", {"epoch": 1}, ConfigError, "no such setting"),
        ("cnn_vit_hybrid", {"options.stride": 5}, ModelError, "has no stage of 5"),
        ("cnn_vit_hybrid", {"pretrained": "absent.safetensors"}, ModelError, "absent.safetensors: no such file"),
        ("cnn_vit_hybrid", {"precision": "16-mixed"}, TrainingError, "needs a CUDA device"),
        ("cnn_vit_hybrid", {"learning_rate": 1e30, "gradient_clip": 0}, TrainingError, "loss is nan"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(world, model, overrides, error, told):
    with pytest.raises(error, match=told) as caught:
        train_model(world.collection, world.paths, model, overrides)
    assert "\n" not in str(caught.value)
    assert not (world.paths.model(model) / "current.json").exists()


def test_a_training_ends_with_its_parent(tmp_path):
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    code = "import time\nfrom agri_assets.training.parent import watch_parent\nwatch_parent()\ntime.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", code], env={"AGRI_PARENT_PID": str(sleeper.pid)})
    time.sleep(1.0)
    assert child.poll() is None
    sleeper.kill()
    sleeper.wait()
    assert child.wait(timeout=20) == 1


def test_the_command_refuses_with_one_line(tmp_path):
    command = [sys.executable, "-m", "agri_assets.training", "--collection", "sample", "--model", "resnet50"]
    done = subprocess.run(
        [*command, "--set", "epochs"],
        env={"AGRI_DATA_ROOT": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "agri-assets: --set epochs: expected key=value, such as epochs=3 or options.drop_rate=0.2"
    )
