"""The shipped recipes, by name: what `recipe: {preset: fast}` stands for (see docs/training.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

PresetName = Literal["", "fast", "best"]


@dataclass(frozen=True)
class Preset:
    """Settings of a recipe that belong together.

    Attributes:
        shared: Of all models.
        models: Per model, what differs.
    """

    shared: Mapping[str, Any] = field(default_factory=dict)
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def of(self, model: str) -> dict[str, Any]:
        """The settings of one model."""
        return {**self.shared, **self.models.get(model, {})}


COMMON: Mapping[str, Any] = {
    "learning_rate": 1e-3,
    "weight_decay": 0.05,
    "label_smoothing": 0.1,
    "jitter": 0.05,
    "brightness": 0.1,
    "noise": 0.05,
    "cutmix": 1.0,
    "mix_probability": 0.5,
}
"""What helps from one range of longitudes to another, whatever the network."""

HYBRID: Mapping[str, Any] = {
    "zoom": 0.3,
    "rotation": True,
    "options": {"input_scale": 1.5, "depth": 2, "drop_path_rate": 0.1},
}
"""What the hybrid's study chose for tiles of 64 px, which it sees enlarged (docs/training.md)."""

PRESETS: Mapping[PresetName, Preset] = {
    "": Preset(),
    "fast": Preset(
        {**COMMON, "epochs": 16, "batch_size": 64, "ema_decay": 0.995},
        {
            "resnet50": {"epochs": 8},
            "efficientnet_b3": {"epochs": 12},
            "cnn_vit_hybrid": {**HYBRID, "epochs": 11, "precision": "bf16-mixed"},
        },
    ),
    "best": Preset(
        {**COMMON, "epochs": 60, "batch_size": 128, "ema_decay": 0.9995, "precision": "bf16-mixed"},
        {"cnn_vit_hybrid": HYBRID},
    ),
}
