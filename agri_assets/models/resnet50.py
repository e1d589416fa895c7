"""ResNet-50 (He et al., 2015, arXiv:1512.03385) by keras.applications, for any number of bands."""

from collections.abc import Mapping
from typing import Any

import keras
from pydantic import Field

from agri_assets.models.keras_parts import FusedBatchNormalization
from agri_assets.models.options import LOGIT_STD, NetworkOptions, parse_options


class ResNetOptions(NetworkOptions):
    """Options of ResNet-50.

    Attributes:
        norm_momentum: Momentum of the batch statistics. Keras's own 0.99 needs several hundred steps before inference
            sees what training saw; short trainings need less.
    """

    norm_momentum: float = Field(default=0.9, ge=0, lt=1)


def build(bands: int, tile_size: int, options: Mapping[str, Any], outputs: int = 1) -> Any:
    """The untrained `keras.Model`: standardised tiles (b, tile_size, tile_size, bands) to logits (b, outputs).

    Raises:
        ModelError: An option is unknown or out of range.
    """
    chosen = parse_options(ResNetOptions, "resnet50", options)
    edge = chosen.edge(tile_size)
    image = keras.Input((tile_size, tile_size, bands), name="tiles")
    if edge != tile_size:
        image = keras.layers.Resizing(edge, edge, antialias=True, name="edge")(image)
    trunk = keras.applications.ResNet50(weights=None, include_top=False, pooling="avg", input_tensor=image)
    trunk = keras.models.clone_model(trunk, clone_function=lambda layer: _remade(layer, chosen.norm_momentum))
    # a seed makes it draw from a state of its own, which training sets by the step
    features = keras.layers.Dropout(chosen.drop_rate, seed=0, name="drop")(trunk.output)
    start = keras.initializers.RandomNormal(stddev=LOGIT_STD)
    # logits stay float32 under mixed precision, as Keras's guide asks of last layers
    logit = keras.layers.Dense(outputs, kernel_initializer=start, dtype="float32", name="logit")(features)
    return keras.Model(trunk.inputs, logit, name="resnet50")


def _remade(layer: Any, norm_momentum: float) -> Any:
    """A layer of the trunk made anew: norms are fused, and the last one of each block begins at zero.

    The blocks then begin as identities (Goyal et al., 2017, arXiv:1706.02677, section 5.1).
    """
    if not isinstance(layer, keras.layers.BatchNormalization):
        return layer.__class__.from_config(layer.get_config())
    config = {**layer.get_config(), "momentum": norm_momentum}
    if layer.name.endswith("_3_bn"):
        config["gamma_initializer"] = "zeros"
    return FusedBatchNormalization.from_config(config)
