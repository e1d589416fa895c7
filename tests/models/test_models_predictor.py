from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agri_assets.errors import ModelError
from agri_assets.loading.classes import Classes, TargetClass
from agri_assets.models.contract import OFFSET_CONVENTIONS, ModelContract
from agri_assets.models.predictor import load_predictor, sigmoid
from agri_assets.models.registry import MODELS, build_network
from agri_assets.models.weights import WEIGHTS_FILE, get_weights, parameter_count, save_weights
from agri_assets.store.fingerprint import file_digest

CLASSES = tuple(
    TargetClass(name=name, agricultural=crop) for name, crop in (("Sea", False), ("Crop", True), ("Pasture", True))
)
BANDS = ("B04", "B03", "B02")


def write_run(folder: Path, model: str, classes: Classes = ()) -> ModelContract:
    """An untrained model as a finished run would leave it."""
    options = {"width": 16, "depth": 1, "heads": 2} if model == "cnn_vit_hybrid" else {}
    framework = MODELS[model].framework
    network = build_network(model, 3, 32, options, len(classes) or 1)
    save_weights(folder / WEIGHTS_FILE, get_weights(network, framework))
    contract = ModelContract(
        model=model,
        framework=framework,
        collection="tiny",
        bands=BANDS,
        units="dn8",
        offset_convention=OFFSET_CONVENTIONS["dn8"],
        mean=(90.0, 100.0, 110.0),
        std=(10.0, 20.0, 30.0),
        tile_size=32,
        split_fingerprint="f" * 64,
        proof="none",
        options=options,
        classes=classes,
        parameters=parameter_count(network, framework),
        weights_digest=file_digest(folder / WEIGHTS_FILE),
    )
    contract.save(folder)
    return contract


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_run(folder, "cnn_vit_hybrid")
    return folder


@pytest.mark.parametrize("model", ["cnn_vit_hybrid", "resnet50"])
def test_predicts_one_probability_per_tile_whatever_the_batch(model, tmp_path):
    contract = write_run(tmp_path, model)
    predictor = load_predictor(tmp_path)
    assert predictor.contract == contract
    pixels = np.random.default_rng(0).integers(1, 255, (5, 3, 32, 32), dtype=np.uint16)
    together = predictor.predict(pixels)
    assert together.shape == (5,)
    assert together.dtype == np.float64
    assert ((together >= 0) & (together <= 1)).all()
    apart = np.concatenate([predictor.predict(pixels[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(together, apart, atol=1e-5)
    assert predictor.predict(pixels[:0]).shape == (0,)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((2, 4, 32, 32), np.uint16),
        np.zeros((2, 3, 64, 64), np.uint16),
        np.zeros((3, 32, 32), np.uint16),
        np.zeros((2, 3, 32, 32), np.float32),
    ],
)
def test_pixels_of_another_kind_are_refused(run_folder, pixels):
    with pytest.raises(ModelError, match=r"expected uint16 of \(b, 3, 32, 32\)"):
        load_predictor(run_folder).predict(pixels)


def test_data_of_another_kind_is_refused_by_name(run_folder):
    contract = ModelContract.load(run_folder)
    contract.require_match("cube x", BANDS, "dn8", 32)
    with pytest.raises(ModelError, match=r"cube x: bands B02,B03,B04 do not fit"):
        contract.require_match("cube x", BANDS[::-1], "dn8", 32)
    with pytest.raises(ModelError, match="units reflectance do not fit"):
        contract.require_match("cube x", BANDS, "reflectance", 32)
    with pytest.raises(ModelError, match="tile size 64 do not fit"):
        contract.require_match("cube x", BANDS, "dn8", 64)
    other = contract.model_copy(update={"offset_convention": "DN, offset not removed"})
    with pytest.raises(ModelError, match="offset convention"):
        other.require_match("cube x", BANDS, "dn8", 32)


def test_weights_and_contract_that_do_not_belong_together_are_refused(tmp_path):
    contract = write_run(tmp_path, "cnn_vit_hybrid")
    contract.model_copy(update={"weights_digest": "0" * 64}).save(tmp_path)
    with pytest.raises(ModelError, match="digests differ"):
        load_predictor(tmp_path)
    contract.model_copy(update={"bands": (*BANDS, "B08"), "mean": (1.0,) * 4, "std": (1.0,) * 4}).save(tmp_path)
    with pytest.raises(ModelError, match="has shape"):
        load_predictor(tmp_path)
    (tmp_path / "contract.json").write_text("{}")
    with pytest.raises(ModelError, match="not a model contract"):
        load_predictor(tmp_path)
    (tmp_path / "contract.json").unlink()
    with pytest.raises(ModelError, match="without their contract"):
        load_predictor(tmp_path)


@given(st.floats(min_value=-1e4, max_value=1e4))
def test_sigmoid_is_a_probability_and_symmetric(logit):
    one, other = sigmoid(np.array([logit, -logit]))
    assert 0.0 <= one <= 1.0
    assert one + other == pytest.approx(1.0)


def test_probabilities_of_classes_are_summed_and_of_orientations_averaged(tmp_path):
    plain = write_run(tmp_path, "cnn_vit_hybrid", classes=CLASSES)
    pixels = np.random.default_rng(1).integers(1, 255, (4, 3, 32, 32), dtype=np.uint16)
    predictor = load_predictor(tmp_path)
    outputs = predictor.forward(pixels)
    assert outputs.shape == (4, 3)
    softmax = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(predictor.predict(pixels), softmax[:, 1:].sum(axis=1), rtol=1e-9)

    plain.model_copy(update={"test_orientations": True}).save(tmp_path)
    averaged = load_predictor(tmp_path).predict(pixels)
    assert not np.allclose(averaged, predictor.predict(pixels), atol=1e-9)
    # whichever way a tile lies, its eight orientations are the same ones
    lying = load_predictor(tmp_path).predict(np.ascontiguousarray(pixels[:, :, ::-1].transpose(0, 1, 3, 2)))
    np.testing.assert_allclose(lying, averaged, rtol=1e-5)
