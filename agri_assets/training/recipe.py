"""The recipe: every choice of one training, as a collection declares it."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from agri_assets.settings import Settings
from agri_assets.training.presets import PRESETS, PresetName

ModelName = Literal["resnet50", "efficientnet_b3", "cnn_vit_hybrid"]
HUB = "hub"
"""As `pretrained`: the published weights of the network's own library."""

MODEL_NAMES: tuple[ModelName, ...] = ("resnet50", "efficientnet_b3", "cnn_vit_hybrid")

Precision = Literal["32", "16-mixed", "bf16-mixed"]


class Recipe(Settings):
    """How one model is trained.

    Attributes:
        preset: A shipped recipe that is meant wherever this one is silent: `fast` or `best`.
        epochs: Passes over the train split.
        batch_size: Samples per optimiser step.
        learning_rate: Peak of the schedule (linear warm-up, then cosine to zero).
        warmup: Share of all steps spent warming up.
        weight_decay: Decoupled (AdamW).
        label_smoothing: Targets become `y * (1 - s) + s / 2`.
        gradient_clip: Largest gradient norm; 0 turns clipping off.
        ema_decay: Decay of the exponential moving average of the weights; 0 turns it off.
        orientations: Random flips and quarter turns of the train samples (the eight orientations).
        zoom: Train samples are scaled by up to `exp(zoom)`, either way, and one edge against the other by up to
            `exp(zoom / 2)`; what lies beyond a tile's edge is its mirror image. 0 turns it off.
        rotation: Turn train samples by any angle.
        jitter: Standard deviation of a random gain and offset per sample and band, in the band's own deviations.
        brightness: The same, but common to all bands of a sample.
        noise: Largest standard deviation of noise per pixel, in the band's own deviations; each sample draws its own.
        band_dropout: Probability that a train sample loses some of its bands.
        coarse_dropout: Probability that rectangles of a train sample are blanked.
        cutmix: Alpha of CutMix (Yun et al., 2019, arXiv:1905.04899); 0 turns it off.
        mixup: Alpha of MixUp (Zhang et al., 2017, arXiv:1710.09412); 0 turns it off. With both, each batch draws one.
        mix_probability: Share of batches that are mixed, where either is on.
        fine_classes: Learn the classes that labels name, where they name more than two; the probability of
            agricultural is the sum of those of its classes.
        balance: `weights` weighs the loss, `sampling` draws samples, so that both classes count alike.
        patience: Stop after this many epochs without a better val ROC AUC; 0 never stops early.
        precision: Numeric precision of the forward and backward pass.
        compile: Let torch compile the network.
        pretrained: Weights to begin with: `hub` (timm's, downloaded) or a safetensors file; nothing begins at random.
        test_orientations: Predict as the mean over the eight orientations of a tile.
        checkpoint_minutes: Time between two checkpoints within an epoch.
        workers: Loader processes; -1 chooses by the machine.
        shuffle_shards: Shards mixed in the shuffle buffer.
        seed: Seed of weights, order and augmentation.
        options: Arguments of the network itself (see the model's module).
    """

    preset: PresetName = ""
    epochs: int = Field(default=8, ge=1)
    batch_size: int = Field(default=64, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    warmup: float = Field(default=0.1, ge=0, lt=1)
    weight_decay: float = Field(default=0.05, ge=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    gradient_clip: float = Field(default=1.0, ge=0)
    ema_decay: float = Field(default=0.0, ge=0, lt=1)
    orientations: bool = True
    zoom: float = Field(default=0.0, ge=0, le=1)
    rotation: bool = False
    jitter: float = Field(default=0.0, ge=0)
    brightness: float = Field(default=0.0, ge=0)
    noise: float = Field(default=0.0, ge=0)
    band_dropout: float = Field(default=0.0, ge=0, le=1)
    coarse_dropout: float = Field(default=0.0, ge=0, le=1)
    cutmix: float = Field(default=0.0, ge=0)
    mixup: float = Field(default=0.0, ge=0)
    mix_probability: float = Field(default=1.0, ge=0, le=1)
    fine_classes: bool = True
    balance: Literal["none", "weights", "sampling"] = "none"
    patience: int = Field(default=0, ge=0)
    precision: Precision = "32"
    compile: bool = False
    pretrained: str = ""
    test_orientations: bool = False
    checkpoint_minutes: float = Field(default=1.0, ge=0)
    workers: int = Field(default=-1, ge=-1)
    shuffle_shards: int = Field(default=8, ge=1)
    seed: int = 0
    options: dict[str, int | float | bool | str] = Field(default_factory=dict)

    def said(self) -> dict[str, Any]:
        """What is said about it, without what it leaves to its preset and to defaults."""
        return self.model_dump(include=self.model_fields_set)


def resolve(model: ModelName, *layers: Mapping[str, Any]) -> Recipe:
    """The recipe of a model from settings laid over each other, the last one on top, its preset below them all.

    Options of the network lie one by one over those of the preset, which are that network's own, too.

    Args:
        model: Name of the network.
        layers: Settings by name, as `collections.yaml` says them.

    Raises:
        ValidationError: A setting is unknown, or its value is not what is expected.
    """
    said = {key: value for layer in layers for key, value in layer.items()}
    preset = PRESETS.get(said.get("preset", ""))
    below = preset.of(model) if preset else {}
    if isinstance(said.get("options"), Mapping):
        said["options"] = {**below.get("options", {}), **said["options"]}
    return Recipe.model_validate({**below, **said})
