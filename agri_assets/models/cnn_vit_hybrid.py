"""A CNN-ViT hybrid: convolutions find local texture, a transformer encoder relates the places where it was found.

The hybrid form of the vision transformer (Dosovitskiy et al., 2020, arXiv:2010.11929, section 3.1): the feature map of
a CNN trunk takes the place of image patches. Positions are two-dimensional sines: no weights, and fit for any grid.
"""

from collections.abc import Mapping
from typing import Any

import timm
import torch
from pydantic import Field, model_validator
from timm.layers.pos_embed_sincos import build_sincos2d_pos_embed
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from agri_assets.errors import ModelError
from agri_assets.models.options import LOGIT_STD, NetworkOptions, parse_options
from agri_assets.models.torch_parts import TileClassifier


class HybridOptions(NetworkOptions):
    """Options of the hybrid.

    Attributes:
        trunk: Name of the timm CNN whose first stages make the tokens.
        stride: Pixels per token edge: where the CNN hands over. 8 gives 8 by 8 tokens for a 64 px tile.
        width: Width of a token; a multiple of four and of `heads`.
        depth: Transformer blocks.
        heads: Attention heads per block.
        mlp_ratio: Width of a block's hidden layer over that of a token.
        drop_path_rate: Stochastic depth, rising linearly to this at the last block.
    """

    trunk: str = "resnet18"
    stride: int = Field(default=8, ge=2, le=32)
    width: int = Field(default=192, ge=16)
    depth: int = Field(default=4, ge=1)
    heads: int = Field(default=4, ge=1)
    mlp_ratio: float = Field(default=3.0, gt=0)
    drop_path_rate: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _divisible(self) -> "HybridOptions":
        if self.width % 4 or self.width % self.heads:
            raise ValueError(f"width {self.width} must be a multiple of 4 and of heads ({self.heads})")
        return self


class CnnVitHybrid(nn.Module):
    """CNN feature map to tokens, position embedding, pre-norm transformer encoder, mean over tokens, logits."""

    positions: Tensor

    def __init__(self, trunk: nn.Module, channels: int, grid: int, options: HybridOptions, outputs: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.project = nn.Conv2d(channels, options.width, kernel_size=1)
        positions = build_sincos2d_pos_embed([grid, grid], options.width)
        self.register_buffer("positions", positions.unsqueeze(0), persistent=False)
        rates = torch.linspace(0, options.drop_path_rate, options.depth).tolist()
        self.blocks = nn.Sequential(
            *(Block(options.width, options.heads, options.mlp_ratio, qkv_bias=True, drop_path=rate) for rate in rates)
        )
        self.norm = nn.LayerNorm(options.width)
        self.drop = nn.Dropout(options.drop_rate)
        self.head = nn.Linear(options.width, outputs)
        nn.init.normal_(self.head.weight, std=LOGIT_STD)
        nn.init.zeros_(self.head.bias)

    def forward(self, tiles: Tensor) -> Tensor:
        """Standardised tiles (b, bands, edge, edge) to logits (b, outputs)."""
        features: Tensor = self.trunk(tiles)[-1]
        tokens = self.project(features).flatten(2).transpose(1, 2) + self.positions
        summary = self.norm(self.blocks(tokens)).mean(dim=1)
        logits: Tensor = self.head(self.drop(summary))
        return logits


def build(bands: int, tile_size: int, options: Mapping[str, Any], outputs: int = 1) -> nn.Module:
    """The untrained network: standardised tiles (b, bands, tile_size, tile_size) to logits (b, outputs).

    Raises:
        ModelError: An option is unknown or out of range, the trunk is no CNN that timm can cut, or it has no stage of
            the stride wanted.
    """
    chosen = parse_options(HybridOptions, "cnn_vit_hybrid", options)
    trunk, channels = _cut_trunk(bands, chosen)
    edge = chosen.edge(tile_size)
    # trunks round the edge of their maps up or down as their padding has it, so the grid is found by trying
    with torch.no_grad():
        grid = trunk.eval()(torch.zeros(1, bands, edge, edge))[-1].shape[-1]
    return TileClassifier(CnnVitHybrid(trunk.train(), channels, grid, chosen, outputs), edge)


def _cut_trunk(bands: int, options: HybridOptions) -> tuple[nn.Module, int]:
    """The trunk up to the stage of the wanted stride, and the channels it ends in."""
    name, stride = options.trunk, options.stride
    try:
        whole: Any = timm.create_model(name, pretrained=False, features_only=True)
    except RuntimeError as error:
        raise ModelError(f"cnn_vit_hybrid: option trunk: {name!r} is not usable ({error})") from None
    strides = whole.feature_info.reduction()
    if stride not in strides:
        known = ", ".join(map(str, strides))
        raise ModelError(f"cnn_vit_hybrid: option stride: {name} has no stage of {stride}; use one of {known}")
    stage = strides.index(stride)
    trunk: Any = timm.create_model(name, pretrained=False, in_chans=bands, features_only=True, out_indices=(stage,))
    return trunk, trunk.feature_info.channels()[-1]
