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


PRESETS: Mapping[PresetName, Preset] = {
    "": Preset(),
    "fast": Preset(),
    "best": Preset(),
}
