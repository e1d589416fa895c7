import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from agri_assets.errors import ModelError
from agri_assets.models.pretrained import begin_with, pretrained_key
from agri_assets.models.registry import build_network

OPTIONS = {"trunk": "resnet18", "width": 32, "depth": 1, "heads": 2, "stride": 8}


@pytest.fixture(scope="module")
def trunk(tmp_path_factory):
    """Weights of a whole trunk on three bands."""
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    torch.manual_seed(5)
    save_file(timm.create_model("resnet18", num_classes=7).state_dict(), path)
    return path


def hybrid(bands, **options):
    return build_network("cnn_vit_hybrid", bands, 64, {**OPTIONS, **options}, 3)


@pytest.mark.parametrize("bands", [1, 3, 6])
def test_a_trunk_begins_with_the_weights_of_a_file(trunk, bands):
    network = hybrid(bands)
    head = network.backbone.head.weight.detach().clone()
    begin_with(network, "cnn_vit_hybrid", str(trunk), bands, OPTIONS)
    wanted, found = load_file(trunk), network.backbone.trunk.state_dict()
    assert len(found) > 20
    for name in found.keys() - {"conv1.weight"}:
        torch.testing.assert_close(found[name], wanted[name], rtol=0, atol=0)
    assert found["conv1.weight"].shape[1] == bands
    # what three equal bands gave, so many equal bands give
    torch.testing.assert_close(found["conv1.weight"].sum(1), wanted["conv1.weight"].sum(1))
    torch.testing.assert_close(network.backbone.head.weight, head, rtol=0, atol=0)


def test_efficientnet_begins_with_weights_saved_by_torch(tmp_path):
    torch.manual_seed(5)
    made = timm.create_model("efficientnet_b3")
    torch.save(made.state_dict(), tmp_path / "b3.pth")
    network = build_network("efficientnet_b3", 4, 64, {}, 3)
    begin_with(network, "efficientnet_b3", str(tmp_path / "b3.pth"), 4, {})
    found = network.backbone.state_dict()
    for name, value in made.state_dict().items():
        if not name.startswith(("classifier.", "conv_stem.")):
            torch.testing.assert_close(found[name], value, rtol=0, atol=0)
    assert found["classifier.weight"].shape == (3, 1536)


def test_a_trunk_cut_under_other_names_takes_them_too(tmp_path):
    torch.manual_seed(5)
    made = timm.create_model("convnext_atto")
    save_file(made.state_dict(), tmp_path / "atto.safetensors")
    network = hybrid(3, trunk="convnext_atto")
    options = {**OPTIONS, "trunk": "convnext_atto"}
    begin_with(network, "cnn_vit_hybrid", str(tmp_path / "atto.safetensors"), 3, options)
    found = network.backbone.trunk.state_dict()
    torch.testing.assert_close(found["stem_0.weight"], made.state_dict()["stem.0.weight"], rtol=0, atol=0)


def without(state, name):
    return {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda state: without(state, "layer1.0.conv1.weight"), "lacks layer1.0.conv1.weight"),
        (lambda state: without(state, "layer4.0.conv1.weight"), "lacks layer4.0.conv1.weight"),
        (lambda state: {**state, "gate.weight": torch.ones(2)}, "holds an unknown gate.weight"),
        (
            lambda state: {**state, "bn1.weight": torch.ones(2)},
            r"bn1.weight has shape \(2,\), the network wants \(64,\)",
        ),
        (lambda state: {**state, "conv1.weight": torch.ones(2)}, "conv1.weight cannot be adapted"),
    ],
)
def test_weights_that_do_not_fit_are_refused_in_one_line(trunk, tmp_path, change, told):
    changed = tmp_path / "changed.safetensors"
    save_file(change(load_file(trunk)), changed)
    network = hybrid(4)
    with pytest.raises(ModelError, match=f"pretrained: {changed}: not weights of resnet18: {told}") as caught:
        begin_with(network, "cnn_vit_hybrid", str(changed), 4, OPTIONS)
    assert "\n" not in str(caught.value)


def test_files_that_are_none_are_refused_in_one_line(tmp_path):
    (tmp_path / "noise.safetensors").write_bytes(b"noise" * 100)
    (tmp_path / "noise.pth").write_bytes(b"noise" * 100)
    for name, told in (("noise.safetensors", "not a file of weights"), ("noise.pth", "not a file of weights")):
        with pytest.raises(ModelError, match=told) as caught:
            begin_with(hybrid(3), "cnn_vit_hybrid", str(tmp_path / name), 3, OPTIONS)
        assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="no such file"):
        pretrained_key(str(tmp_path / "absent.safetensors"))


def test_the_hub_is_asked_for_the_trunk_and_its_refusal_is_one_line(monkeypatch):
    create, asked = timm.create_model, []

    def offline(name, pretrained=False, **options):
        if pretrained:
            asked.append(name)
            raise OSError("no route\nto host")
        return create(name, pretrained=False, **options)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(ModelError, match=r"weights of resnet18 cannot be had \(no route\)") as caught:
        begin_with(hybrid(3), "cnn_vit_hybrid", "hub", 3, OPTIONS)
    assert "\n" not in str(caught.value)
    assert asked == ["resnet18"]


def test_a_file_counts_by_its_content(tmp_path):
    for name in ("one", "same"):
        (tmp_path / name).write_bytes(b"weights")
    (tmp_path / "other").write_bytes(b"other weights")
    keys = [pretrained_key(str(tmp_path / name)) for name in ("one", "same", "other")]
    assert keys[0] == keys[1] != keys[2]
    assert pretrained_key("hub") == "hub"
    assert pretrained_key("") == ""
