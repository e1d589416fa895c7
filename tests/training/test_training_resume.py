"""A training that is killed, anywhere, and run again ends with the weights of one that was not."""

import shutil

import psutil
import pytest

from agri_assets.errors import TrainingError
from agri_assets.models.weights import WEIGHTS_FILE, load_weights
from agri_assets.training.plan import plan_training
from agri_assets.training.run import train_model
from tests.training.children import killed_at, require_same

MODEL = "cnn_vit_hybrid"

RECIPE = {
    "epochs": 2,
    "jitter": 0.2,
    "noise": 0.1,
    "band_dropout": 0.3,
    "coarse_dropout": 0.3,
    "balance": "sampling",
    "cutmix": 1.0,
    "mixup": 0.2,
    "mix_probability": 0.7,
    "label_smoothing": 0.1,
    "options.drop_rate": 0.2,
    "options.drop_path_rate": 0.2,
    "checkpoint_minutes": 0,
}
"""Whatever a step may draw by chance is on; 61 samples in batches of 16 make four steps an epoch."""


@pytest.fixture(scope="module")
def straight(built, tmp_path_factory):
    """The weights and the history of a training that nobody interrupts."""
    folder = tmp_path_factory.mktemp("straight") / "data"
    shutil.copytree(built.paths.root, folder)
    paths = type(built.paths)(folder, "tiny")
    outcome = train_model(built.collection, paths, MODEL, {**RECIPE, "checkpoint_minutes": 1})
    return load_weights(outcome.path / WEIGHTS_FILE), outcome.tables["epochs"].rows


@pytest.mark.parametrize(
    ("place", "count", "done", "workers"),
    [
        ("step", 6, 5, 0),
        ("checkpoint", 3, 2, 0),
        ("validation", 1, 4, 1),
        pytest.param("step", 1, 0, 0, marks=pytest.mark.soak),
        pytest.param("step", 3, 2, 2, marks=pytest.mark.soak),
        pytest.param("step", 4, 3, 0, marks=pytest.mark.soak),
        pytest.param("step", 5, 4, 1, marks=pytest.mark.soak),
        pytest.param("checkpoint", 1, 0, 2, marks=pytest.mark.soak),
        pytest.param("checkpoint", 5, 4, 0, marks=pytest.mark.soak),
        pytest.param("checkpoint", 6, 4, 0, marks=pytest.mark.soak),
        pytest.param("checkpoint", 7, 4, 2, marks=pytest.mark.soak),
        pytest.param("validation", 2, 8, 2, marks=pytest.mark.soak),
        pytest.param("best weights", 1, 4, 0, marks=pytest.mark.soak),
    ],
)
def test_killed_and_resumed_it_ends_with_the_same_weights(world, straight, place, count, done, workers):
    killed_at(place, count, world, RECIPE)
    outcome = train_model(world.collection, world.paths, MODEL, {**RECIPE, "workers": workers})
    assert outcome.metadata["steps_resumed"] == done
    require_same(outcome, straight)


@pytest.mark.soak
def test_killed_again_and_again_it_ends_with_the_same_weights(world, straight):
    for _ in range(4):
        killed_at("step", 2, world, RECIPE)
    killed_at("checkpoint", 2, world, RECIPE)
    killed_at("validation", 1, world, RECIPE)
    outcome = train_model(world.collection, world.paths, MODEL, RECIPE)
    assert outcome.metadata["steps_resumed"] > 4
    assert not list(outcome.path.rglob(".staging-*"))
    require_same(outcome, straight)


def test_a_damaged_checkpoint_is_refused_in_one_line(world):
    killed_at("step", 3, world, RECIPE)
    checkpoint = plan_training(world.collection, world.paths, MODEL, RECIPE).folder / "checkpoints" / "last.ckpt"
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[: len(content) // 2])
    with pytest.raises(TrainingError, match=r"not a usable checkpoint .*; delete it to start over") as caught:
        train_model(world.collection, world.paths, MODEL, RECIPE)
    assert "\n" not in str(caught.value)


def test_the_workers_of_a_killed_training_end_with_it(world):
    numbers = killed_at("step", 2, world, {**RECIPE, "workers": 2})
    assert len(numbers) > 2  # the workers, and the server that forks them
    started = [process for process in map(process_of, numbers) if process]
    assert not psutil.wait_procs(started, timeout=10)[1]


def process_of(pid):
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None
