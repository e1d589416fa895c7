import numpy as np
import pytest
import torch

from agri_assets.errors import ModelError
from agri_assets.models.registry import MODELS, build_network
from agri_assets.models.weights import get_weights, load_weights, parameter_count, save_weights, set_weights

TORCH = ("efficientnet_b3", "cnn_vit_hybrid")


@pytest.mark.parametrize("model", TORCH)
@pytest.mark.parametrize(("bands", "edge"), [(3, 64), (10, 32), (13, 96)])
def test_torch_networks_take_any_bands_and_tile_size(model, bands, edge):
    network = build_network(model, bands, edge, {}, outputs=bands).eval()
    with torch.inference_mode():
        assert network(torch.randn(2, bands, edge, edge)).shape == (2, bands)


@pytest.mark.parametrize(("bands", "edge"), [(3, 64), (10, 32)])
def test_keras_network_takes_any_bands_and_tile_size(bands, edge):
    network = build_network("resnet50", bands, edge, {}, outputs=bands)
    assert network.input_shape == (None, edge, edge, bands)
    assert network.output_shape == (None, bands)


def test_parameters_are_those_of_the_published_networks():
    # ResNet-50 without its top has 23,534,592 trainable parameters on three bands, timm's B3 10,696,232 without its own
    assert parameter_count(build_network("resnet50", 3, 64, {}), "keras") == 23_534_592 + 2048 + 1
    assert parameter_count(build_network("efficientnet_b3", 3, 64, {}), "torch") == 10_696_232 + 1536 + 1


@pytest.mark.parametrize("model", TORCH)
def test_a_fresh_network_is_undecided(model):
    network = build_network(model, 4, 64, {})
    assert network(torch.randn(8, 4, 64, 64)).abs().max() < 2


@pytest.mark.parametrize("model", MODELS)
def test_input_size_changes_what_the_network_sees_not_what_it_takes(model):
    network = build_network(model, 3, 64, {"input_size": 48})
    shape = (2, 64, 64, 3) if MODELS[model].framework == "keras" else (2, 3, 64, 64)
    with torch.inference_mode():
        assert len(network(torch.zeros(shape))) == 2


@pytest.mark.parametrize(("tile_size", "tokens"), [(32, 36), (64, 144)])
def test_input_scale_enlarges_tiles_of_any_size(tile_size, tokens):
    network = build_network("cnn_vit_hybrid", 3, tile_size, {"input_scale": 1.5, "width": 16, "depth": 1, "heads": 2})
    assert network.backbone.positions.shape == (1, tokens, 16)
    with torch.inference_mode():
        assert len(network(torch.zeros(2, 3, tile_size, tile_size))) == 2


def test_hybrid_hands_over_where_the_stride_says():
    for stride, tokens in ((4, 256), (8, 64), (16, 16)):
        network = build_network("cnn_vit_hybrid", 3, 64, {"stride": stride, "width": 16, "depth": 1, "heads": 2})
        assert network.backbone.positions.shape == (1, tokens, 16)


def test_hybrid_sees_where_things_are():
    """Without positions, swapping token places would change nothing."""
    torch.manual_seed(0)
    hybrid = build_network("cnn_vit_hybrid", 3, 64, {}).eval().backbone
    features = torch.randn(1, 192, 8, 8)
    hybrid.trunk, hybrid.project = torch.nn.Identity(), torch.nn.Identity()
    with torch.inference_mode():
        assert not torch.allclose(hybrid([features]), hybrid([features.flip(-1)]), atol=1e-6)


@pytest.mark.parametrize(
    ("model", "options", "told"),
    [
        ("efficientnet_b3", {"droprate": 0.1}, "unknown option 'droprate'; it knows input_size, input_scale, drop_"),
        ("efficientnet_b3", {"drop_rate": 2}, "option drop_rate"),
        ("resnet50", {"input_size": 16}, "must be 0 .* or at least 32, got 16"),
        ("cnn_vit_hybrid", {"stride": 5}, "resnet18 has no stage of 5; use one of 2, 4, 8, 16, 32"),
        ("cnn_vit_hybrid", {"trunk": "nonsense"}, "'nonsense' is not usable"),
        ("cnn_vit_hybrid", {"heads": 5}, "must be a multiple of 4 and of heads"),
    ],
)
def test_wrong_options_are_refused_in_one_line(model, options, told):
    with pytest.raises(ModelError, match=told) as caught:
        build_network(model, 3, 64, options)
    assert "\n" not in str(caught.value)


def test_an_unknown_model_is_refused():
    with pytest.raises(ModelError, match="no model 'vgg'; there are resnet50"):
        build_network("vgg", 3, 64, {})


@pytest.mark.parametrize("model", ["resnet50", "cnn_vit_hybrid"])
def test_weights_survive_a_file(model, tmp_path):
    framework = MODELS[model].framework
    first, second = (build_network(model, 3, 32, {}) for _ in range(2))
    save_weights(tmp_path / "weights.safetensors", get_weights(first, framework))
    set_weights(second, framework, load_weights(tmp_path / "weights.safetensors"), "file")
    for name, array in get_weights(first, framework).items():
        np.testing.assert_array_equal(array, get_weights(second, framework)[name])


def test_weights_that_do_not_fit_are_refused(tmp_path):
    network = build_network("cnn_vit_hybrid", 3, 32, {})
    arrays = get_weights(network, "torch")
    with pytest.raises(ModelError, match=r"lacks backbone\.norm\.bias"):
        set_weights(network, "torch", {k: v for k, v in arrays.items() if k != "backbone.norm.bias"}, "file")
    with pytest.raises(ModelError, match="has shape"):
        set_weights(network, "torch", get_weights(build_network("cnn_vit_hybrid", 4, 32, {}), "torch"), "file")
    (tmp_path / "bad.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match="not a readable safetensors file"):
        load_weights(tmp_path / "bad.safetensors")
    with pytest.raises(ModelError, match="no such file"):
        load_weights(tmp_path / "absent.safetensors")


def test_fused_norm_is_batch_normalisation_and_stays_finite():
    import keras

    from agri_assets.models.keras_parts import FusedBatchNormalization

    random = np.random.default_rng(0)
    tiles = random.normal(3, 2, (4, 5, 5, 6)).astype("float32")
    fused, plain = FusedBatchNormalization(momentum=0.9), keras.layers.BatchNormalization(momentum=0.9)
    found, wanted = (keras.ops.convert_to_numpy(layer(tiles, training=True)) for layer in (fused, plain))
    np.testing.assert_allclose(found, wanted, atol=2e-3)
    close = np.float32(1000) + random.normal(0, 1e-4, (2, 1, 1, 64)).astype("float32")
    layer = FusedBatchNormalization()
    assert np.isfinite(keras.ops.convert_to_numpy(layer(close, training=True))).all()
