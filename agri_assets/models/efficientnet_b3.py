"""EfficientNet-B3 (Tan and Le, 2019, arXiv:1905.11946) by timm, for any number of bands."""

from collections.abc import Mapping
from typing import Any

import timm
from pydantic import Field
from torch import nn

from agri_assets.models.options import LOGIT_STD, NetworkOptions, parse_options
from agri_assets.models.torch_parts import TileClassifier


class EfficientNetOptions(NetworkOptions):
    """Options of EfficientNet-B3.

    Attributes:
        drop_path_rate: Stochastic depth, rising linearly to this at the last block.
    """

    drop_path_rate: float = Field(default=0.0, ge=0, lt=1)


def build(bands: int, tile_size: int, options: Mapping[str, Any], outputs: int = 1) -> nn.Module:
    """The untrained network: standardised tiles (b, bands, tile_size, tile_size) to logits (b, outputs).

    Raises:
        ModelError: An option is unknown or out of range.
    """
    chosen = parse_options(EfficientNetOptions, "efficientnet_b3", options)
    backbone: Any = timm.create_model(
        "efficientnet_b3",
        pretrained=False,
        in_chans=bands,
        num_classes=outputs,
        drop_rate=chosen.drop_rate,
        drop_path_rate=chosen.drop_path_rate,
    )
    # timm draws the last layer from +-1/sqrt(outputs), made for a thousand classes: one logit would begin at +-20
    nn.init.normal_(backbone.classifier.weight, std=LOGIT_STD)
    return TileClassifier(backbone, chosen.edge(tile_size))
