"""What every PyTorch network here shares: pixels to standardised numbers, and tiles to the edge the network wants."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class Standardise(nn.Module):
    """Stored counts to standardised numbers, on the device: `(pixel - mean) / std` per band.

    Not part of the weights: mean and std stand in the model's contract.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        shape = (1, -1, 1, 1)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).reshape(shape), persistent=False)
        self.register_buffer("scale", 1.0 / torch.tensor(std, dtype=torch.float32).reshape(shape), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """uint16 (b, bands, height, width) to float32 of the same shape, channels last in memory."""
        numbers = pixels.to(torch.float32).contiguous(memory_format=torch.channels_last)
        return (numbers - self.mean) * self.scale


class TileClassifier(nn.Module):
    """A network that gives logits for each tile, behind an optional change of the tiles' edge."""

    def __init__(self, backbone: nn.Module, input_size: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.input_size = input_size

    def forward(self, tiles: Tensor) -> Tensor:
        """Standardised tiles (b, bands, height, width) to logits (b, outputs)."""
        if self.input_size and self.input_size != tiles.shape[-1]:
            size = (self.input_size, self.input_size)
            tiles = functional.interpolate(tiles, size, mode="bilinear", align_corners=False, antialias=True)
        logits: Tensor = self.backbone(tiles)
        return logits
