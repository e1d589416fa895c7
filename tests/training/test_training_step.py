"""What one training step is made of: chance, augmentation on the device, the loss, precision."""

import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from agri_assets.loading.classes import TargetClass
from agri_assets.loading.ring import TensorBatch
from agri_assets.loading.samples import load_samples
from agri_assets.progress import Meter
from agri_assets.splits.summary import read_summary
from agri_assets.training.device_augment import Geometry, Mixing, Radiometry
from agri_assets.training.recipe import Recipe
from agri_assets.training.recorder import Recorder
from agri_assets.training.steps import seed_step
from agri_assets.training.task import Task
from agri_assets.training.torch_fit import TorchTraining, as_classes, make_fabric

CPU = torch.device("cpu")
MEAN, STD = (1000.0, 2000.0, 300.0), (200.0, 500.0, 100.0)


def draws(*key):
    seed_step(*key, CPU)
    return torch.rand(3).tolist(), np.random.rand(3).tolist()


def test_chance_is_a_function_of_seed_step_and_rank():
    keys = [(seed, step, rank) for seed in (0, 1) for step in (0, 1, 2) for rank in (0, 1)]
    found = [draws(*key) for key in keys]
    assert found == [draws(*key) for key in keys]
    for kind in (0, 1):
        assert len({tuple(draw[kind]) for draw in found}) == len(keys)


def test_seeding_costs_next_to_nothing():
    started = time.perf_counter()
    for step in range(200):
        seed_step(0, step, 0, CPU)
    # about 0.05 ms each; torch.manual_seed takes over 1 ms where it finds no device
    assert time.perf_counter() - started < 0.2


GEOMETRY = {"zoom": 0.5, "rotation": True}


def test_geometry_that_is_off_leaves_the_counts():
    pixels = counts()
    assert Geometry(Recipe(), "reflectance")(pixels) is pixels


@given(st.floats(0, 1), st.booleans(), st.integers(0, 1000))
def test_geometry_mixes_no_nodata_into_pixels(zoom, rotation, seed):
    pixels = torch.full((4, 3, 16, 16), 1000, dtype=torch.uint16)
    pixels[:, :, :, :5] = 0
    torch.manual_seed(seed)
    changed = Geometry(Recipe(zoom=zoom, rotation=rotation), "reflectance")(pixels).float()
    assert (((changed - 1000).abs() < 0.01) | (changed == 0)).all()
    assert (changed != 0).any()


def test_geometry_takes_every_place_from_within_the_tile():
    ramp = torch.arange(1, 17).float().view(1, 1, 1, 16).expand(64, 1, 16, 16)
    torch.manual_seed(0)
    changed = Geometry(Recipe(**GEOMETRY), "dn8")(ramp)
    assert changed.min() >= 1
    assert changed.max() <= 16
    assert len({tuple(tile.flatten().tolist()) for tile in changed}) == 64


@pytest.mark.parametrize("settings", [{"zoom": 0.3}, {"rotation": True}])
def test_geometry_scales_by_no_more_than_asked_and_turns_about_the_middle(settings):
    y, x = torch.meshgrid(torch.arange(33.0), torch.arange(33.0), indexing="ij")
    planes = torch.stack([x, y]).expand(500, 2, 33, 33) + 100
    torch.manual_seed(0)
    changed = Geometry(Recipe(**settings), "dn8")(planes)[:, :, 12:21, 12:21]  # no mirror image reaches so far in
    steps = torch.stack([changed[:, :, 4, 5] - changed[:, :, 4, 4], changed[:, :, 5, 4] - changed[:, :, 4, 4]], dim=2)
    scale = torch.linalg.det(steps).sqrt()
    zoom = settings.get("zoom", 0.0)
    assert scale.log().abs().max() <= zoom + 1e-4
    if zoom:
        assert scale.log().std().item() == pytest.approx(zoom / 3**0.5, rel=0.1)
        shift = (changed[:, :, 4, 4] - 116).abs().amax(1)
        assert (shift <= 16.5 * (1 - scale).clamp(min=0) + 1e-3).all()
    else:
        torch.testing.assert_close(changed[:, :, 4, 4], torch.full((500, 2), 116.0))
        angle = torch.atan2(steps[:, 1, 0], steps[:, 0, 0])
        assert angle.std().item() == pytest.approx(torch.pi / 3**0.5, rel=0.1)


def radiometry(units="reflectance", **settings):
    return Radiometry(Recipe(**settings), MEAN, STD, units)


def counts(size=64):
    torch.manual_seed(0)
    tiles = torch.randn(size, 3, 8, 8) * torch.tensor(STD).view(1, 3, 1, 1) + torch.tensor(MEAN).view(1, 3, 1, 1)
    tiles = tiles.clamp(1, 65535).round()
    tiles[:, :, :2] = 0
    return tiles.to(torch.uint16)


@given(st.floats(0, 3), st.floats(0, 3), st.floats(0, 3), st.integers(0, 1000))
def test_radiometry_respects_reflectance(jitter, brightness, noise, seed):
    pixels = counts(4)
    torch.manual_seed(seed)
    changed = radiometry(jitter=jitter, brightness=brightness, noise=noise)(pixels).float()
    assert (changed[:, :, :2] == 0).all()
    assert (changed[:, :, 2:] >= 1).all()


def test_radiometry_of_plain_counts_has_no_nodata():
    changed = radiometry("dn8", jitter=0.3)(counts())
    assert (changed[:, :, :2] != 0).any()
    assert (changed >= 0).all()


def test_radiometry_that_is_off_leaves_the_counts():
    pixels = counts()
    assert radiometry()(pixels) is pixels


@pytest.mark.parametrize(("setting", "same_in_bands"), [("jitter", False), ("brightness", True)])
def test_offsets_are_drawn_per_sample_and_count_in_deviations(setting, same_in_bands):
    pixels = torch.tensor(MEAN).view(1, 3, 1, 1).repeat(4000, 1, 2, 2)
    changed = (radiometry("dn8", **{setting: 0.1})(pixels) - pixels) / torch.tensor(STD).view(1, 3, 1, 1)
    assert torch.allclose(changed.amax((2, 3)), changed.amin((2, 3)))
    drawn = changed[:, :, 0, 0]
    assert drawn.std().item() == pytest.approx(0.1, rel=0.05)
    assert torch.allclose(drawn[:, 0], drawn[:, 1], atol=1e-4) == same_in_bands


def test_noise_is_drawn_per_pixel_and_its_strength_per_sample():
    pixels = torch.tensor(MEAN).view(1, 3, 1, 1).repeat(200, 1, 16, 16)
    changed = (radiometry("dn8", noise=0.1)(pixels) - pixels) / torch.tensor(STD).view(1, 3, 1, 1)
    strength = changed.std(dim=(1, 2, 3))
    assert 0 < strength.min() < 0.01 < 0.09 < strength.max() < 0.11
    # uniform, so that mean squares are a third of the largest
    assert changed.square().mean((0, 2, 3)).sqrt().tolist() == pytest.approx([0.1 / 3**0.5] * 3, rel=0.15)
    assert changed.mean((2, 3)).abs().max() < 0.05


def test_gains_turn_about_the_mean_and_stay_positive():
    pixels = counts()[:, :, 2:].float()
    torch.manual_seed(0)
    changed = Radiometry(Recipe(jitter=1.0), MEAN, STD, "reflectance")(pixels)
    high, low = pixels.amax((2, 3)), pixels.amin((2, 3))
    span = changed.amax((2, 3)) - changed.amin((2, 3))
    whole = changed.amin((2, 3)) > 1
    gains = (span / (high - low))[whole]
    assert len(gains) > 50
    assert (gains > 0).all()
    assert gains.log().std().item() == pytest.approx(1.0, rel=0.3)


def numbered(size):
    """Tiles that are filled with the number of their class."""
    classes = torch.arange(size) % 5
    return classes.float().view(-1, 1, 1, 1).expand(-1, 3, 16, 16).contiguous(), classes


@pytest.mark.parametrize("size", [1, 2, 7, 16])
@pytest.mark.parametrize("kind", ["cutmix", "mixup"])
def test_mixed_targets_say_what_is_in_the_tile(size, kind):
    mix, mixed = Mixing(Recipe(**{kind: 1.0}), 5), 0
    for seed in range(20):
        seed_step(seed, 0, 0, CPU)
        tiles, classes = numbered(size)
        tiles, shares = mix(tiles, classes)
        torch.testing.assert_close(shares.sum(1), torch.ones(size))
        torch.testing.assert_close(tiles.mean((1, 2, 3)), shares @ torch.arange(5.0))
        mixed += int((shares.amax(1) < 1).sum())
        if size % 2:
            assert shares[-1, classes[-1]] == 1
    assert (mixed > 0) == (size > 1)


def test_a_share_of_the_batches_is_mixed():
    mix, changed = Mixing(Recipe(cutmix=1.0, mixup=1.0, mix_probability=0.3), 5), 0
    for seed in range(200):
        seed_step(seed, 0, 0, CPU)
        tiles, classes = numbered(4)
        before = tiles.clone()
        changed += int(not torch.equal(mix(tiles, classes)[0], before))
    assert 30 < changed < 90


class Plain(nn.Module):
    """A small network whose outputs are some."""

    def __init__(self, outputs):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3, 4), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(4, outputs)

    def forward(self, tiles):
        return self.head(self.layers(tiles))


@pytest.fixture
def training(built, tmp_path):
    def make(classes=(), **settings):
        torch.manual_seed(0)
        recipe = Recipe(epochs=1, batch_size=16, gradient_clip=1.0, **settings)
        train, val = (load_samples(built.paths, role) for role in ("train", "val"))
        split, cubes = read_summary(built.paths), {"archive": built.paths.cube("archive")}
        network = Plain(len(classes) or 1)
        task = Task("t", "cnn_vit_hybrid", "torch", recipe, network, split, train, val, cubes, "cpu", tmp_path, classes)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        return TorchTraining(
            task, Recorder("t", 1, 0, Meter("t", task.steps)), optimizer, make_fabric(recipe.precision)
        )

    return make


def batch(training, count):
    torch.manual_seed(1)
    pixels = torch.randint(1, 200, (count, 3, 32, 32)).to(torch.uint16)
    index = torch.arange(count)
    return TensorBatch(pixels, torch.from_numpy(training.task.train.label[:count].astype(np.float32)), index)


def test_the_loss_of_one_output_is_that_of_a_logit(training):
    made = training(balance="weights", label_smoothing=0.1)
    given = batch(made, 12)
    made.network.eval()
    found = made.loss_sum(given)
    logits = made.network(made.standardise(given.pixels))[:, 0]
    light, heavy = made.task.class_weights
    smooth = given.label * 0.9 + 0.05
    wanted = -(heavy * smooth * logits.sigmoid().log() + light * (1 - smooth) * (-logits).sigmoid().log()).sum()
    assert light != heavy
    torch.testing.assert_close(found, wanted)
    plain = training()
    logits = plain.network.eval()(plain.standardise(given.pixels))[:, 0]
    wanted = binary_cross_entropy_with_logits(logits, given.label, reduction="sum")
    torch.testing.assert_close(plain.loss_sum(given), wanted)


def test_the_loss_of_classes_weighs_by_label(training, built):
    classes = tuple(TargetClass(name=name, agricultural=name == "Field") for name in ("Forest", "Lake", "Field"))
    made = training(classes, balance="weights")
    given = batch(made, 12)
    made.network.eval()
    found = made.loss_sum(given)
    logs = made.network(made.standardise(given.pixels)).log_softmax(1)
    light, heavy = made.task.class_weights
    wanted = -sum((heavy * log[2]) if label else (light * log[0]) for log, label in zip(logs, given.label, strict=True))
    torch.testing.assert_close(found, wanted)
    assert made.task.target_weights == (light, light, heavy)


def test_a_single_output_becomes_two_classes():
    logits = torch.tensor([[2.0], [-1.0]])
    torch.testing.assert_close(as_classes(logits).softmax(1)[:, 1], logits[:, 0].sigmoid())


def test_an_empty_share_changes_nothing(training):
    made = training(ema_decay=0.5)
    state = {name: value.clone() for name, value in made.network.state_dict().items()}
    loss = made.loss_sum(batch(made, 0))
    made.fabric.backward(loss)
    assert loss.item() == 0
    assert all((parameter.grad == 0).all() for parameter in made.network.parameters())
    for name, value in made.network.state_dict().items():
        torch.testing.assert_close(value, state[name], rtol=0, atol=0)
    assert made.network.training


@pytest.mark.parametrize("count", [1, 16])
def test_a_step_in_bfloat16_moves_the_weights_in_float32(training, count):
    made, plain = training(precision="bf16-mixed"), training()
    kinds = []
    made.network.head.register_forward_hook(lambda module, given, found: kinds.append(found.dtype))
    before = made.network.head.bias.detach().clone()
    for one in (made, plain):
        one.network.train()
        one.train_step(batch(one, count))
    assert kinds == [torch.bfloat16]
    assert {value.dtype for value in made.network.state_dict().values()} == {torch.float32, torch.int64}
    assert not torch.equal(made.network.head.bias, before)
    for name, value in plain.network.named_parameters():
        torch.testing.assert_close(made.network.get_parameter(name), value, rtol=0, atol=0.02)


def test_gradients_are_clipped(training):
    made = training()
    made.recipe = made.recipe.model_copy(update={"gradient_clip": 1e-3, "warmup": 0.0, "learning_rate": 1.0})
    before = [parameter.detach().clone() for parameter in made.network.parameters()]
    made.network.train()
    made.train_step(batch(made, 16))
    moved = [(new - old).norm() for new, old in zip(made.network.parameters(), before, strict=True)]
    assert torch.stack(moved).norm().item() == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.soak
def test_a_compiled_network_keeps_the_names_of_its_weights(training):
    made, plain = training(compile=True, ema_decay=0.5), training(ema_decay=0.5)
    for one in (made, plain):
        one.network.train()
        for _ in range(2):
            one.train_step(batch(one, 16))
    assert made.network.state_dict().keys() == plain.network.state_dict().keys()
    for name, value in plain.network.state_dict().items():
        torch.testing.assert_close(made.network.state_dict()[name], value, rtol=1e-4, atol=1e-5)
    made.state.save(made.checkpoint, made.step)
    assert training(ema_decay=0.5).step == 2
