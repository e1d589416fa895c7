"""A Keras training on whichever backend `KERAS_BACKEND` names: what it sees, what it leaves, and that it resumes."""

import shutil

import keras
import numpy as np
import pytest

from agri_assets.errors import TrainingError
from agri_assets.loading.augment import Augmentation
from agri_assets.loading.samples import load_samples
from agri_assets.loading.stream import TileStream
from agri_assets.models.contract import ModelContract
from agri_assets.models.predictor import load_predictor
from agri_assets.models.weights import WEIGHTS_FILE, load_weights
from agri_assets.training.keras_fit import CHECKPOINT
from agri_assets.training.keras_model import TileTraining
from agri_assets.training.plan import plan_training
from agri_assets.training.recorder import Recorder
from agri_assets.training.run import train_model
from tests.training.children import require_same
from tests.training.keras_children import MODEL, killed_at, tiny_network, trained

RECIPE = {
    "epochs": 2,
    "jitter": 0.2,
    "brightness": 0.1,
    "noise": 0.1,
    "cutmix": 1.0,
    "mixup": 0.2,
    "mix_probability": 0.7,
    "label_smoothing": 0.1,
    "checkpoint_minutes": 0,
}
"""Whatever a step may draw by chance is on; 61 samples in batches of 16 make four steps an epoch."""

tensorflow_only = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of the tensorflow backend")
torch_only = pytest.mark.skipif(keras.backend.backend() != "torch", reason="of the torch backend")


class Interrupted(Exception):
    """Stands for whatever ends a training from outside."""


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setattr("agri_assets.models.resnet50.build", tiny_network)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="module")
def straight(built, tmp_path_factory):
    """The weights and the history of a training that nobody interrupts."""
    folder = tmp_path_factory.mktemp("straight") / "data"
    shutil.copytree(built.paths.root, folder)
    paths = type(built.paths)(folder, "tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agri_assets.models.resnet50.build", tiny_network)
        outcome = train_model(built.collection, paths, MODEL, {**RECIPE, "checkpoint_minutes": 1})
    return load_weights(outcome.path / WEIGHTS_FILE), outcome.tables["epochs"].rows


def interrupted_at(owner, name, count, world):
    """Train until a function is called for the `count`-th time."""
    original, calls = getattr(owner, name), [0]

    def failing(*args, **options):
        calls[0] += 1
        if calls[0] == count:
            raise Interrupted
        return original(*args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, failing)
        with pytest.raises(Interrupted):
            train_model(world.collection, world.paths, MODEL, RECIPE)


def test_it_leaves_a_whole_run_folder(world):
    outcome = train_model(world.collection, world.paths, MODEL, {"learning_rate": 0.03, "epochs": 4})
    assert outcome.metadata["val_roc_auc"] > 0.8
    names = {item.name for item in outcome.path.iterdir()}
    assert names == {
        "weights.safetensors",
        "contract.json",
        "history.json",
        "loss_curve.png",
        "scenes.parquet",
        "complete.json",
    }
    for figure in ("samples_per_s", "data_wait", "peak_memory_mb", "train_seconds", "parameters"):
        assert outcome.metadata[figure] > 0
    assert ModelContract.load(outcome.path).framework == "keras"
    assert load_predictor(outcome.path).predict(np.full((2, 3, 32, 32), 100, np.uint16)).shape == (2,)


def test_it_sees_the_samples_of_the_stream_in_its_order(world, monkeypatch):
    seen = []
    make = TileTraining.make_train_function

    def spying(model):
        make(model)
        train = model.train_function

        def step(data):
            seen.append([np.asarray(keras.ops.convert_to_numpy(part)) for part in data[0]])
            return train(data)

        monkeypatch.setattr(model, "train_function", step)

    monkeypatch.setattr(TileTraining, "make_train_function", spying)
    train_model(world.collection, world.paths, MODEL, {"epochs": 2, "seed": 5})
    train = load_samples(world.paths, "train")
    stream = TileStream(
        train,
        {"archive": world.paths.cube("archive")},
        16,
        5,
        shuffle=True,
        augmentation=Augmentation(orientations=True),
    )
    wanted = [stream.read(epoch, number) for epoch in (0, 1) for number in range(len(stream))]
    assert len(wanted) > 4
    for (pixels, labels), batch in zip(seen, wanted, strict=True):
        np.testing.assert_array_equal(pixels, batch.pixels.transpose(0, 2, 3, 1))
        np.testing.assert_array_equal(labels, batch.label)


@pytest.mark.parametrize(
    ("owner", "name", "count", "done"),
    [(Recorder, "step", 6, 5), (TileTraining, "predict_on_batch", 1, 4), (TileTraining, "predict_on_batch", 4, 8)],
)
def test_interrupted_and_resumed_it_ends_with_the_same_weights(world, straight, owner, name, count, done):
    interrupted_at(owner, name, count, world)
    outcome = train_model(world.collection, world.paths, MODEL, RECIPE)
    assert outcome.metadata["steps_resumed"] == done
    require_same(outcome, straight)


@pytest.mark.parametrize(
    ("place", "count", "done"),
    [
        ("checkpoint", 3, 2),
        pytest.param("step", 3, 2, marks=pytest.mark.soak),
        pytest.param("step", 6, 5, marks=pytest.mark.soak),
        pytest.param("checkpoint", 1, 0, marks=pytest.mark.soak),
        pytest.param("checkpoint", 5, 4, marks=pytest.mark.soak),
        pytest.param("checkpoint", 6, 4, marks=pytest.mark.soak),
        pytest.param("checkpoint", 8, 5, marks=pytest.mark.soak),
        pytest.param("validation", 1, 4, marks=pytest.mark.soak),
        pytest.param("validation", 4, 8, marks=pytest.mark.soak),
        pytest.param("best weights", 1, 4, marks=pytest.mark.soak),
    ],
)
def test_killed_and_resumed_it_ends_with_the_same_weights(world, straight, place, count, done):
    killed_at(place, count, world, RECIPE)
    outcome = train_model(world.collection, world.paths, MODEL, RECIPE)
    assert outcome.metadata["steps_resumed"] == done
    assert not list(outcome.path.rglob(".staging-*"))
    require_same(outcome, straight)


def test_checkpoints_keep_to_their_pace(world, monkeypatch):
    written = []
    from agri_assets.training import keras_fit

    save = keras_fit.save_state
    monkeypatch.setattr(keras_fit, "save_state", lambda path, *rest: (written.append(path), save(path, *rest)))
    train_model(world.collection, world.paths, MODEL, {"epochs": 2, "checkpoint_minutes": 60})
    # before and after each validation
    assert len(written) == 4


def broken_off(world):
    """The checkpoint of a training that was interrupted."""
    interrupted_at(Recorder, "step", 3, world)
    return plan_training(world.collection, world.paths, MODEL, RECIPE).folder / "checkpoints" / CHECKPOINT


def test_a_damaged_checkpoint_is_refused_in_one_line(world):
    checkpoint = broken_off(world)
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[: len(content) // 2])
    with pytest.raises(TrainingError, match=r"not a usable checkpoint .*; delete it to start over") as caught:
        train_model(world.collection, world.paths, MODEL, RECIPE)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_another_backend_is_refused_in_one_line(world):
    checkpoint = broken_off(world)
    here = keras.backend.backend().encode()
    content = checkpoint.read_bytes()
    assert content.count(here) == 1
    checkpoint.write_bytes(content.replace(here, here[::-1]))
    with pytest.raises(TrainingError, match=r"set KERAS_BACKEND=.* to go on, or delete it") as caught:
        train_model(world.collection, world.paths, MODEL, RECIPE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        ({"precision": "16-mixed"}, "precision 16-mixed needs a CUDA device; use 32 or bf16-mixed"),
        ({"cutmix": 2.0}, "Keras's CutMix takes an alpha of 1 at most, cutmix is 2.0"),
        pytest.param({"compile": True}, "compile needs Keras's tensorflow backend", marks=torch_only),
        pytest.param({"compile": True, "mixup": 0.2}, "cannot draw Keras's CutMix and MixUp", marks=tensorflow_only),
        ({"learning_rate": 1e30, "gradient_clip": 0}, "loss is (nan|inf)"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(world, recipe, told):
    with pytest.raises(TrainingError, match=told) as caught:
        train_model(world.collection, world.paths, MODEL, recipe)
    assert "\n" not in str(caught.value)


def test_bfloat16_trains(world):
    outcome = train_model(world.collection, world.paths, MODEL, {"epochs": 1, "precision": "bf16-mixed"})
    assert {array.dtype for array in load_weights(outcome.path / WEIGHTS_FILE).values()} == {np.dtype("float32")}


@pytest.mark.soak
@tensorflow_only
def test_compiled_it_trains(world):
    recipe = {**RECIPE, "epochs": 1, "compile": True, "cutmix": 0, "mixup": 0}
    trained(world, recipe)
    assert plan_training(world.collection, world.paths, MODEL, recipe).done


@tensorflow_only
def test_val_is_read_once_and_its_copy_goes(world, monkeypatch):
    from agri_assets.loading.keras_data import TileSequence

    read, reads, kept = TileSequence.read, [], []

    def counting(sequence, epoch, number):
        reads.append((sequence.stream.shuffle, epoch, number))
        return read(sequence, epoch, number)

    step = Recorder.step

    def looking(recorder, samples):
        kept.append(len(list(world.paths.model(MODEL).rglob("val.index"))))
        step(recorder, samples)

    monkeypatch.setattr(TileSequence, "read", counting)
    monkeypatch.setattr(Recorder, "step", looking)
    outcome = train_model(world.collection, world.paths, MODEL, {"epochs": 3})
    assert kept == [0] * 4 + [1] * 8
    val = [key for key in reads if not key[0]]
    assert len(val) == len(set(val)) == -(-outcome.metadata["val_samples"] // 16)
    assert len({key for key in reads if key[0]}) == 12
    assert not list(outcome.path.rglob("val*"))
