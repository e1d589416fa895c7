"""The ONNX network gives what the trained one gives, whatever the contract says of classes and orientations."""

import numpy as np
import pytest
import timm

from agri_assets.bundle.export import export_onnx
from agri_assets.bundle.runner import CHUNK, open_runner
from agri_assets.errors import ModelError
from agri_assets.evaluation.temperature import scaled
from agri_assets.loading.classes import TargetClass
from agri_assets.models.contract import ModelContract
from agri_assets.models.predictor import load_predictor

CLASSES = tuple(
    TargetClass(name=name, agricultural=crop) for name, crop in (("Sea", False), ("Crop", True), ("Pasture", True))
)

ENLARGED = {"trunk": "test_resnet", "stride": 8, "width": 16, "depth": 1, "heads": 2, "input_scale": 1.5}


def compare(run, folder, tiles, temperature, counts=(1, 5, CHUNK + 3)):
    """Probabilities of the portable network, once they are known to be those of the trained one."""
    contract, trained = ModelContract.load(run), load_predictor(run)
    path = folder / "model.onnx"
    export_onnx(run, temperature, path)
    runner = open_runner(path, len(contract.bands), contract.tile_size, contract.test_orientations)
    for count in counts:
        pixels = tiles(count, contract, seed=count)
        found = runner.predict(pixels)
        assert found.shape == (count,)
        np.testing.assert_allclose(found, scaled(trained.predict(pixels), temperature), rtol=0, atol=1e-4)
    assert np.ptp(found) > 0.1, "a network that says the same of all tiles proves nothing"
    return runner


@pytest.mark.parametrize(
    ("known", "temperature"),
    [
        ({}, 1.0),
        ({"classes": CLASSES, "test_orientations": True}, 0.4),
        ({"units": "dn8"}, 3.0),
        ({"options": ENLARGED}, 1.0),
    ],
    ids=["plain", "classes-and-orientations", "tempered", "enlarged"],
)
def test_the_hybrid_agrees_with_its_export(made_run, tiles, tmp_path, known, temperature):
    compare(made_run(tmp_path / "run", **known), tmp_path, tiles, temperature)


def small_resnet(input_tensor, **known):
    """ResNet-50 with two narrow blocks: what Keras makes of one layer it makes of all."""
    from keras.src.applications.resnet import ResNet, stack_residual_blocks_v1

    def blocks(features):
        features = stack_residual_blocks_v1(features, 8, 1, stride1=1, name="conv2")
        return stack_residual_blocks_v1(features, 16, 1, name="conv3")

    known = {"preact": False, "use_bias": True, **known}
    return ResNet(blocks, input_tensor=input_tensor, **known)


@pytest.fixture
def shrunk(monkeypatch):
    """The large networks in their own forms, but small: whole ones take half a minute to export."""
    make = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, **known: make("test_efficientnet", **known))
    monkeypatch.setattr("keras.applications.ResNet50", small_resnet)


LARGE = pytest.mark.parametrize(
    ("model", "known"),
    [("efficientnet_b3", {"classes": CLASSES}), ("resnet50", {"test_orientations": True})],
    ids=["efficientnet_b3", "resnet50"],
)


@LARGE
def test_the_large_networks_agree_with_their_exports(shrunk, made_run, tiles, tmp_path, monkeypatch, model, known):
    run = made_run(tmp_path / "run", model, options={"input_size": 48}, **known)
    compare(run, tmp_path, tiles, 1.5, counts=(1, 9))
    if model == "resnet50":
        monkeypatch.setattr("keras.backend.backend", lambda: "tensorflow")
        with pytest.raises(ModelError, match="not tensorflow; set KERAS_BACKEND=torch"):
            export_onnx(run, 1.5, tmp_path / "other.onnx")


@pytest.mark.soak
@LARGE
def test_the_large_networks_agree_in_their_full_size(made_run, tiles, tmp_path, model, known):
    compare(made_run(tmp_path / "run", model, options={"input_size": 48}, **known), tmp_path, tiles, 1.5, counts=(9,))


def test_certain_logits_stay_certain(made_run, tiles, tmp_path):
    """Probabilities that rounding takes to 1 keep their logits, which a temperature of 10 tells apart."""
    run = made_run(tmp_path / "run")
    from agri_assets.models.weights import WEIGHTS_FILE, load_weights, save_weights
    from agri_assets.store.fingerprint import file_digest

    pixels = tiles(40, ModelContract.load(run))
    probability = load_predictor(run).predict(pixels)
    logits = np.log(probability / (1 - probability))
    arrays = load_weights(run / WEIGHTS_FILE)
    # logits up to 24: certain in 64 bits, and one in 32
    for name in ("weight", "bias"):
        arrays[f"backbone.head.{name}"] *= 24 / logits[np.abs(logits).argmax()]
    save_weights(run / WEIGHTS_FILE, arrays)
    digest = file_digest(run / WEIGHTS_FILE)
    ModelContract.load(run).model_copy(update={"weights_digest": digest}).save(run)
    assert load_predictor(run).predict(pixels).max() > 1 - 1e-9
    compare(run, tmp_path, tiles, 10.0, counts=(40,))


def test_pixels_of_another_kind_are_refused(bundle):
    runner = open_runner(bundle / "model.onnx", 3, 32, False)
    assert runner.predict(np.ones((0, 3, 32, 32), np.uint16)).shape == (0,)
    for wrong in (np.ones((2, 3, 32, 32), np.float32), np.ones((2, 4, 32, 32), np.uint16)):
        with pytest.raises(ModelError, match=r"expected uint16 of \(b, 3, 32, 32\)"):
            runner.predict(wrong)


def test_the_8_bit_network_is_smaller_and_nearly_the_same(bundle, tiles):
    pixels = tiles(64, ModelContract.model_construct(bands=("a",) * 3, tile_size=32), seed=9)
    both = [open_runner(bundle / name, 3, 32, False).predict(pixels) for name in ("model.onnx", "model.int8.onnx")]
    assert not np.array_equal(*both)
    assert np.corrcoef(*both)[0, 1] > 0.98
