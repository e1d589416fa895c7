"""What one Keras step is made of: chance, augmentation on the device, the loss, averages, weights to begin with."""

import keras
import numpy as np
import pytest

from agri_assets.loading.classes import TargetClass
from agri_assets.loading.samples import load_samples
from agri_assets.models.keras_augment import Geometry, Mixing, Radiometry
from agri_assets.splits.summary import read_summary
from agri_assets.training.keras_model import TileTraining
from agri_assets.training.recipe import Recipe
from agri_assets.training.task import Task
from tests.training.keras_children import MODEL, tiny_network

MEAN, STD = (1000.0, 2000.0, 300.0), (200.0, 500.0, 100.0)
CLASSES = (
    TargetClass(name="Forest", agricultural=False),
    TargetClass(name="River", agricultural=False),
    TargetClass(name="Field", agricultural=True),
)


def array(value):
    return np.asarray(keras.ops.convert_to_numpy(value))


def radiometry(nodata=True, jitter=0.0, brightness=0.0, noise=0.0):
    return Radiometry(MEAN, STD, jitter=jitter, brightness=brightness, noise=noise, nodata=nodata)


def counts(size=64):
    tiles = np.random.default_rng(0).normal(MEAN, STD, (size, 8, 8, 3)).clip(1, 65535).round()
    tiles[:, :2] = 0
    return keras.ops.convert_to_tensor(tiles.astype(np.float32))


def test_geometry_that_is_off_leaves_the_counts():
    pixels = counts()
    assert Geometry(zoom=0.0, rotation=False, nodata=True)(pixels) is pixels


def test_geometry_mixes_no_nodata_into_pixels():
    pixels = np.full((16, 16, 16, 3), 1000, dtype=np.float32)
    pixels[:, :, :5] = 0
    changed = array(Geometry(zoom=0.3, rotation=True, nodata=True)(pixels))
    assert ((np.abs(changed - 1000) < 0.01) | (changed == 0)).all()
    assert (changed == 0).any()
    assert len({tile.tobytes() for tile in changed}) == 16


@pytest.mark.parametrize("settings", [{"zoom": 0.3, "rotation": False}, {"zoom": 0.0, "rotation": True}])
def test_geometry_scales_by_no_more_than_asked_and_turns_about_the_middle(settings):
    y, x = np.mgrid[:33, :33]
    planes = np.stack([x, y], axis=-1)[None].repeat(64, axis=0).astype(np.float32) + 100
    changed = array(Geometry(nodata=False, **settings)(planes))[:, 12:21, 12:21]  # no mirror image reaches so far in
    steps = np.stack([changed[:, 4, 5] - changed[:, 4, 4], changed[:, 5, 4] - changed[:, 4, 4]], axis=2)
    scale = np.sqrt(np.linalg.det(steps))
    assert np.abs(np.log(scale)).max() <= settings["zoom"] + 1e-4
    shift = np.abs(changed[:, 4, 4] - 116).max(axis=1)
    assert (shift <= 16.5 * np.clip(1 - scale, 0, None) + 1e-3).all()
    if settings["zoom"]:
        assert np.log(scale).std() == pytest.approx(0.3 / 3**0.5, rel=0.3)
    else:
        assert np.arctan2(steps[:, 1, 0], steps[:, 0, 0]).std() == pytest.approx(np.pi / 3**0.5, rel=0.3)


def test_radiometry_respects_reflectance():
    layer = radiometry(jitter=2.0, brightness=1.0, noise=1.0)
    first, second = (array(layer(counts())) for _ in range(2))
    assert (first[:, :2] == 0).all()
    assert (first[:, 2:] >= 1).all()
    assert (first != second).any()


def test_radiometry_of_plain_counts_has_no_nodata():
    changed = array(radiometry(nodata=False, jitter=0.3)(counts()))
    assert (changed[:, :2] != 0).any()
    assert (changed >= 0).all()


def test_radiometry_that_is_off_leaves_the_counts():
    assert np.array_equal(array(radiometry()(counts())), array(counts()))


@pytest.mark.parametrize(("setting", "same_in_bands"), [("jitter", False), ("brightness", True)])
def test_offsets_are_drawn_per_sample_and_count_in_deviations(setting, same_in_bands):
    pixels = np.broadcast_to(np.float32(MEAN), (4000, 2, 2, 3)).copy()
    changed = array(radiometry(nodata=False, **{setting: 0.1})(keras.ops.convert_to_tensor(pixels)))
    drawn = (changed - pixels) / np.float32(STD)
    assert np.allclose(drawn.max((1, 2)), drawn.min((1, 2)))
    assert drawn.std() == pytest.approx(0.1, rel=0.05)
    assert np.allclose(drawn[..., 0], drawn[..., 1], atol=1e-3) == same_in_bands


def test_noise_is_drawn_per_pixel():
    pixels = np.broadcast_to(np.float32(MEAN), (50, 16, 16, 3)).copy()
    drawn = (array(radiometry(nodata=False, noise=0.1)(keras.ops.convert_to_tensor(pixels))) - pixels) / np.float32(STD)
    assert np.abs(drawn.mean((1, 2))).max() < 0.05
    strengths = drawn.std((1, 2, 3))
    assert strengths.max() < 0.11
    assert strengths.mean() == pytest.approx(0.05, rel=0.25)


def numbered(size=10):
    """Ten-band tiles filled with the number of their class, and shares of five classes."""
    classes = np.arange(size) % 5
    tiles = np.broadcast_to(classes[:, None, None, None], (size, 32, 32, 10)).astype(np.float32)
    return keras.ops.convert_to_tensor(tiles.copy()), keras.ops.convert_to_tensor(np.eye(5, dtype=np.float32)[classes])


@pytest.mark.parametrize("kind", ["cutmix", "mixup"])
def test_mixed_targets_say_what_is_in_the_tile(kind):
    mix = Mixing(**{"cutmix": 0.0, "mixup": 0.0, kind: 1.0}, probability=1.0)
    tiles, targets = (array(part) for part in mix(*numbered()))
    assert np.allclose(targets.sum(1), 1)
    assert ((targets > 0.02) & (targets < 0.98)).any()
    # the mean of numbers is that of the shares; a rectangle's edges fall between pixels
    assert np.allclose(tiles.mean((1, 2, 3)), targets @ np.arange(5), atol=0.3 if kind == "cutmix" else 1e-4)


@pytest.mark.parametrize("probability", [0.0, 0.5])
def test_only_a_share_of_the_batches_is_mixed(probability):
    mix = Mixing(cutmix=1.0, mixup=1.0, probability=probability)
    plain = array(numbered()[0])
    mixed = [not np.array_equal(array(mix(*numbered())[0]), plain) for _ in range(60)]
    assert np.mean(mixed) == pytest.approx(probability, abs=0.25)


def training(world, tmp_path, classes=(), **settings):
    split = read_summary(world.paths)
    train, val = (load_samples(world.paths, role) for role in ("train", "val"))
    task = Task(
        name="tiny/tiny",
        model=MODEL,
        framework="keras",
        recipe=Recipe(**{"learning_rate": 0.01, "warmup": 0.0, **settings}),
        network=tiny_network(3, 32, {}, len(classes) or 1),
        split=split,
        train=train,
        val=val,
        cubes={},
        device="cpu",
        folder=tmp_path,
        classes=classes,
    )
    model = TileTraining(task)
    model.make_train_function()
    return model


def batch(outputs, size=8):
    random = np.random.default_rng(1)
    pixels = random.integers(1, 255, (size, 32, 32, 3)).astype(np.float32)
    numbers = random.integers(0, max(outputs, 2), size).astype(np.float32)
    return keras.ops.convert_to_tensor(pixels), keras.ops.convert_to_tensor(numbers)


def log_softmax(logits):
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


@pytest.mark.parametrize("classes", [(), CLASSES])
@pytest.mark.parametrize("balance", ["none", "weights"])
def test_the_loss_is_the_smoothed_and_weighted_cross_entropy(built, tmp_path, classes, balance):
    model = training(built, tmp_path, classes, label_smoothing=0.1, balance=balance, learning_rate=1e-30)
    pixels, numbers = batch(len(classes))
    labels = array(numbers).astype(int)
    for layer in model.network.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    outputs = array(model.network(model.standardise(pixels), training=True)).astype(np.float64)
    columns = outputs if classes else np.concatenate([np.zeros_like(outputs), outputs], 1)
    shares = np.eye(columns.shape[1])[labels] * 0.9 + 0.1 / columns.shape[1]
    weights = np.array(model.target_weights)[labels]
    wanted = np.mean(weights * -(shares * log_softmax(columns)).sum(1))
    model.start_step(0)
    assert float(model.train_function([(pixels, numbers)])["loss"]) == pytest.approx(wanted, rel=1e-4)
    assert (len(set(model.target_weights.tolist())) > 1) == (balance == "weights")


def weights_of(model):
    return [array(weight.value).copy() for weight in model.network.weights]


def test_a_step_is_a_function_of_its_number(built, tmp_path):
    model = training(built, tmp_path, CLASSES, jitter=0.3, cutmix=1.0, mixup=0.5, learning_rate=1e-30)
    data = batch(3)

    def loss(step):
        model.start_step(step)
        return float(model.train_function([data])["loss"])

    first, second, third = loss(0), loss(1), loss(2)
    assert [loss(1), loss(0), loss(2)] == pytest.approx([second, first, third], rel=1e-4)
    assert len({first, second, third}) == 3


def test_averages_follow_the_weights(built, tmp_path):
    model = training(built, tmp_path, ema_decay=0.9)
    wanted = weights_of(model)
    for step in range(3):
        model.start_step(step)
        model.train_function([batch(1)])
        decay = min(0.9, (1 + step) / (10 + step))
        wanted = [decay * old + (1 - decay) * new for old, new in zip(wanted, weights_of(model), strict=True)]
    last = weights_of(model)
    model.swap_averages()
    for found, value in zip(weights_of(model), wanted, strict=True):
        np.testing.assert_allclose(found, value, atol=1e-5)
    model.swap_averages()
    for found, value in zip(weights_of(model), last, strict=True):
        np.testing.assert_array_equal(found, value)


def test_decay_leaves_biases_and_norms_alone(built, tmp_path):
    model = training(built, tmp_path, weight_decay=0.5, learning_rate=0.1)
    decayed = {
        variable.path.split("/")[-1]
        for variable in model.trainable_variables
        if model.optimizer._use_weight_decay(variable)
    }
    assert decayed == {"kernel"}


def test_half_precision_standardises_in_full(built, tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = training(built, tmp_path)
        tiles = model.standardise(keras.ops.convert_to_tensor(np.full((1, 32, 32, 3), 9999, np.float32)))
        assert keras.backend.standardize_dtype(tiles.dtype) == "float32"
        assert keras.backend.standardize_dtype(model(tiles).dtype) == "float32"
        hidden = keras.Model(model.network.input, model.network.get_layer("conv").output)(tiles)
        assert keras.backend.standardize_dtype(hidden.dtype) == "bfloat16"
        model.start_step(0)
        assert np.isfinite(float(model.train_function([batch(1)])["loss"]))
    finally:
        keras.config.set_dtype_policy("float32")
