"""The networks by name; a framework is imported only when one of its networks is built."""

import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from agri_assets.errors import ModelError
from agri_assets.training.recipe import ModelName

Framework = Literal["torch", "keras"]


@dataclass(frozen=True)
class ModelSpec:
    """Where a network is built.

    Attributes:
        framework: What it is written in.
        module: The module whose `build(bands, tile_size, options, outputs)` makes it.
    """

    framework: Framework
    module: str


MODELS: dict[ModelName, ModelSpec] = {
    "resnet50": ModelSpec("keras", "agri_assets.models.resnet50"),
    "efficientnet_b3": ModelSpec("torch", "agri_assets.models.efficientnet_b3"),
    "cnn_vit_hybrid": ModelSpec("torch", "agri_assets.models.cnn_vit_hybrid"),
}


def choose_backend(framework: Framework) -> None:
    """Let Keras run on torch unless `KERAS_BACKEND` says otherwise; call before anything imports Keras."""
    if framework == "keras":
        os.environ.setdefault("KERAS_BACKEND", "torch")


def build_network(name: ModelName, bands: int, tile_size: int, options: Mapping[str, Any], outputs: int = 1) -> Any:
    """An untrained network: standardised tiles to logits (b, outputs).

    A `torch.nn.Module` takes (b, bands, edge, edge), a `keras.Model` (b, edge, edge, bands).

    Args:
        name: One of `MODELS`.
        bands: Bands of a tile, 1 or more.
        tile_size: Edge of a tile in pixels, 32 to 256.
        options: The recipe's `options`; each network's module says what it knows.
        outputs: One logit of agricultural, or one for each class.

    Raises:
        ModelError: There is no such network, or an option is unknown or out of range.
    """
    if name not in MODELS:
        raise ModelError(f"no model {name!r}; there are {', '.join(MODELS)}")
    choose_backend(MODELS[name].framework)
    return importlib.import_module(MODELS[name].module).build(bands, tile_size, options, outputs)
