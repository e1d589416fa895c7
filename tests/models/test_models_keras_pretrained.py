import keras
import numpy as np
import pytest

from agri_assets.errors import ModelError
from agri_assets.models.keras_pretrained import FIRST, begin_with
from agri_assets.models.registry import build_network
from agri_assets.models.weights import get_weights, save_weights


@pytest.fixture(scope="module")
def trunk():
    """What `keras.applications` makes: for three bands, at random."""
    keras.utils.set_random_seed(1)
    return keras.applications.ResNet50(weights=None, include_top=False, input_shape=(None, None, 3))


@pytest.fixture(scope="module")
def network():
    return build_network("resnet50", 5, 32, {}, 3)


def require_begun(network, trunk):
    wanted, found = get_weights(trunk, "keras"), get_weights(network, "keras")
    assert len(wanted) > 300
    assert found.keys() - wanted.keys() == {"logit/kernel", "logit/bias"}
    for name in wanted.keys() - {FIRST}:
        np.testing.assert_array_equal(found[name], wanted[name])
    # what three equal bands gave, five equal bands give
    np.testing.assert_allclose(found[FIRST].sum(2), wanted[FIRST].sum(2), atol=1e-6)
    assert np.ptp(found[FIRST], axis=2).max() == 0


def forgotten(network):
    for variable in network.weights:
        variable.assign(np.zeros(variable.shape, np.float32))


@pytest.mark.parametrize("name", ["trunk.safetensors", "trunk.weights.h5", "trunk.keras"])
def test_resnet_begins_with_the_weights_of_a_file(trunk, network, tmp_path, name):
    path = tmp_path / name
    if name.endswith(".safetensors"):
        save_weights(path, get_weights(trunk, "keras"))
    else:
        (trunk.save_weights if name.endswith(".h5") else trunk.save)(path)
    forgotten(network)
    begin_with(network, str(path))
    require_begun(network, trunk)


def test_the_hub_is_that_of_keras(trunk, network, monkeypatch):
    asked = []

    def downloaded(**options):
        asked.append(options)
        return trunk

    monkeypatch.setattr(keras.applications, "ResNet50", downloaded)
    forgotten(network)
    begin_with(network, "hub")
    assert asked == [{"weights": "imagenet", "include_top": False}]
    require_begun(network, trunk)


def unreachable(**options):
    raise Exception("URL fetch failure: no route\nto host")


def test_what_does_not_fit_is_refused_in_one_line(trunk, network, tmp_path, monkeypatch):
    arrays = get_weights(trunk, "keras")
    save_weights(tmp_path / "lacks.safetensors", {k: v for k, v in arrays.items() if k != "conv1_bn/gamma"})
    save_weights(tmp_path / "shape.safetensors", {**arrays, "conv1_conv/bias": np.zeros(5, np.float32)})
    for name in ("bad.h5", "bad.keras", "bad.safetensors", "bad.zip"):
        (tmp_path / name).write_bytes(b"no weights")
    cases = {
        "lacks.safetensors": "lacks conv1_bn/gamma",
        "shape.safetensors": r"conv1_conv/bias has shape \(5,\), the network wants \(64,\)",
        "bad.h5": "not weights of ResNet-50",
        "bad.keras": "not weights of ResNet-50",
        "bad.safetensors": "not a readable safetensors file",
        "bad.zip": "not a file of weights for Keras",
        "absent.h5": "no such file",
    }
    for name, told in cases.items():
        with pytest.raises(ModelError, match=told) as caught:
            begin_with(network, str(tmp_path / name))
        assert "\n" not in str(caught.value)
    monkeypatch.setattr(keras.applications, "ResNet50", unreachable)
    with pytest.raises(ModelError, match=r"hub: weights of ResNet-50 cannot be had .*; name a file instead") as caught:
        begin_with(network, "hub")
    assert "\n" not in str(caught.value)
