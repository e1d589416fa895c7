"""Two processes that train together: each sample once, the same weights as one process, one of them decides."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from agri_assets.loading.samples import load_samples
from agri_assets.models.weights import WEIGHTS_FILE, get_weights, load_weights
from agri_assets.progress import Meter
from agri_assets.splits.summary import read_summary
from agri_assets.store.commit import locked
from agri_assets.store.receipt import read_outcome
from agri_assets.training.plan import plan_training
from agri_assets.training.recipe import Recipe
from agri_assets.training.recorder import Recorder
from agri_assets.training.run import train_model
from agri_assets.training.task import Task
from agri_assets.training.torch_fit import TorchTraining, make_fabric
from tests.training import children
from tests.training.children import ranks

MODEL = "cnn_vit_hybrid"

TOGETHER = Recipe(
    epochs=2, batch_size=12, learning_rate=0.1, gradient_clip=0.5, ema_decay=0.8, balance="weights", label_smoothing=0.1
)
"""61 samples: six steps an epoch, the last of which has one sample, so that a rank is left with nothing."""


def small_network():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3, 2), nn.GroupNorm(2, 8), nn.ReLU(), nn.Conv2d(8, 16, 3, 2), nn.GroupNorm(4, 16)]
    return nn.Sequential(*layers, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 1))


def small_task(world, folder: Path) -> Task:
    train, val = (load_samples(world.paths, role) for role in ("train", "val"))
    split, cubes = read_summary(world.paths), {"archive": world.paths.cube("archive")}
    return Task("tiny/small", MODEL, "torch", TOGETHER, small_network(), split, train, val, cubes, "cpu", folder)


class Watched(TorchTraining):
    """Remembers the samples of each step."""

    def loss_sum(self, batch):
        self.__dict__.setdefault("seen", []).append(batch.index.tolist())
        return super().loss_sum(batch)


def train_small(world, folder: Path) -> None:
    """Train by plain gradient descent and leave weights, samples and history by rank."""
    task = small_task(world, folder)
    recorder = Recorder(task.name, TOGETHER.epochs, 0, Meter("train", task.steps))
    optimizer = torch.optim.SGD(task.network.parameters(), lr=0.1)
    training = Watched(task, recorder, optimizer, make_fabric("32"))
    training.run()
    rank = os.environ.get("RANK", "0")
    np.savez(folder / f"weights-{rank}.npz", **get_weights(task.network, "torch"))
    (folder / f"seen-{rank}.json").write_text(json.dumps(training.seen))
    (folder / f"history-{rank}.json").write_text(recorder.history.model_dump_json())


@pytest.fixture(scope="module")
def alone_and_together(built, tmp_path_factory):
    alone, together = (tmp_path_factory.mktemp(name) for name in ("alone", "together"))
    train_small(built, alone)
    assert ranks(2, train_small, built, together) == [0, 0]
    return alone, together


def test_two_ranks_see_each_sample_once(alone_and_together):
    alone, together = alone_and_together
    whole = json.loads((alone / "seen-0.json").read_text())
    shares = [json.loads((together / f"seen-{rank}.json").read_text()) for rank in (0, 1)]
    for epoch in (whole[:6], whole[6:]):
        assert sorted(itertools.chain.from_iterable(epoch)) == list(range(61))
    for batch, first, second in zip(whole, *shares, strict=True):
        assert first + second == batch
    assert [] in shares[0]
    assert [] not in whole


def test_two_ranks_end_with_the_weights_of_one(alone_and_together):
    alone, together = alone_and_together
    wanted = np.load(alone / "weights-0.npz")
    began = get_weights(small_network(), "torch")
    for rank in (0, 1):
        found = np.load(together / f"weights-{rank}.npz")
        for name in wanted.files:
            np.testing.assert_allclose(found[name], wanted[name], rtol=0, atol=1e-5)
    assert max(np.abs(wanted[name] - began[name]).max() for name in wanted.files) > 1e-2
    best = [load_weights(folder / WEIGHTS_FILE) for folder in (alone, together)]
    for name, array in best[0].items():
        np.testing.assert_allclose(best[1][name], array, rtol=0, atol=1e-5)


def test_two_ranks_record_what_one_does(alone_and_together):
    alone, together = alone_and_together
    texts = [alone / "history-0.json", together / "history-0.json", together / "history-1.json"]
    one, first, second = (json.loads(path.read_text())["epochs"] for path in texts)
    for epochs in (first, second):
        for row, other in zip(epochs, one, strict=True):
            assert row["samples"] == other["samples"] == 61
            for name in ("loss", "val_loss", "val_auc"):
                assert row[name] == pytest.approx(other[name], abs=1e-4)


def train_as_rank(world, recipe) -> None:
    """Train as the command does; the process ends with the code of what refused it."""
    from agri_assets.errors import AgriAssetsError
    from agri_assets.training import run

    run.LOCK_WAIT_S = 0.1
    try:
        outcome = train_model(world.collection, world.paths, MODEL, recipe)
    except AgriAssetsError as error:
        (world.paths.root / f"told-{os.environ['RANK']}").write_text(str(error))
        sys.exit(40 + error.exit_code)
    (world.paths.root / f"told-{os.environ['RANK']}").write_text(outcome.model_dump_json())


def test_two_ranks_train_a_model_and_find_it_done(world):
    recipe = {"epochs": 1}
    assert ranks(2, train_as_rank, world, recipe) == [0, 0]
    told = [json.loads((world.paths.root / f"told-{rank}").read_text()) for rank in (0, 1)]
    assert told[0] == told[1]
    again = train_model(world.collection, world.paths, MODEL, recipe)
    assert again.reused
    assert again.fingerprint == told[0]["fingerprint"]
    assert ranks(2, train_as_rank, world, recipe) == [0, 0]


@pytest.mark.parametrize(
    ("recipe", "told"),
    [({}, "is in use by another process"), ({"epochs": 0}, "--set epochs"), ({"options.stride": 5}, "no stage of 5")],
)
def test_what_the_first_rank_refuses_ends_both_alike(world, recipe, told):
    with locked(plan_training(world.collection, world.paths, MODEL).folder, "run"):
        assert ranks(2, train_as_rank, world, recipe) == [41, 41]
    for rank in (0, 1):
        assert told in (world.paths.root / f"told-{rank}").read_text()


def train_and_die(world, recipe) -> None:
    children.PLACES["step"](3)
    train_model(world.collection, world.paths, MODEL, recipe)


@pytest.mark.soak
def test_two_ranks_killed_and_resumed_end_with_the_same_weights(world):
    recipe = {"checkpoint_minutes": 0, "jitter": 0.1, "mixup": 0.2, "options.drop_rate": 0.2}
    assert ranks(2, train_as_rank, world, recipe) == [0, 0]
    folder = plan_training(world.collection, world.paths, MODEL, recipe).folder
    wanted = load_weights(folder / WEIGHTS_FILE)
    shutil.rmtree(folder)
    assert -signal.SIGKILL in ranks(2, train_and_die, world, recipe)
    assert (folder / "checkpoints" / "last.ckpt").exists()
    assert ranks(2, train_as_rank, world, recipe) == [0, 0]
    assert json.loads((world.paths.root / "told-1").read_text())["metadata"]["steps_resumed"] == 2
    found = load_weights(folder / WEIGHTS_FILE)
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)


def torchrun(world, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command of a training, by torchrun in two processes."""
    said = world.collection.model_dump(mode="json", exclude={"name"}, exclude_unset=True)
    file = world.paths.root / "collections.yaml"
    file.write_text(json.dumps({"collections": {"tiny": said}}))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "agri_assets.training", "--collection", "tiny", "--model", MODEL, "--collections", str(file)]
    env = {**os.environ, "AGRI_DATA_ROOT": str(world.paths.root), "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run([*command, *arguments], env=env, capture_output=True, text=True, check=False)


@pytest.mark.soak
def test_torchrun_trains_and_speaks_once(world):
    done = torchrun(world, "--set", "epochs=1", "--result", str(world.paths.root / "result.json"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("trained: val ROC AUC") == 1
    assert done.stderr.count("epoch 1/1") == 1
    assert read_outcome(world.paths.root / "result.json").metadata["epochs"] == 1
    refused = torchrun(world, "--set", "epochs=0")
    assert refused.returncode != 0
    assert refused.stderr.count("agri-assets: --set epochs") == 1
