"""The trained network as one ONNX graph from stored counts to the probability that the project reports."""

import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from agri_assets.bundle.contract import INPUT, OUTPUT
from agri_assets.errors import ModelError
from agri_assets.evaluation.temperature import LARGEST_LOGIT
from agri_assets.loading.augment import ORIENTATIONS
from agri_assets.models.contract import ModelContract
from agri_assets.models.predictor import load_network
from agri_assets.models.torch_parts import Standardise

OPSET = 18
"""The first version of ONNX whose `Resize` smooths before it shrinks; onnxruntime reads it since 1.14."""

TALKATIVE = ("torch.onnx", "onnxscript", "onnx_ir")
"""Loggers that tell every step that they take."""


class Portable(nn.Module):
    """Everything between stored counts and a probability, so that whoever runs the graph need know nothing of it.

    Standardisation, the eight orientations where the contract asks for them, the network, the sum over agricultural
    classes, the mean over orientations, and the temperature.
    """

    def __init__(self, network: Any, contract: ModelContract, temperature: float) -> None:
        super().__init__()
        self.standardise = Standardise(contract.mean, contract.std)
        self.network = network
        self.bands_last = contract.framework == "keras"
        self.turns = ORIENTATIONS if contract.test_orientations else 1
        self.agricultural = [n for n, target in enumerate(contract.classes) if target.agricultural]
        self.other = [n for n, target in enumerate(contract.classes) if not target.agricultural]
        self.temperature = temperature

    def forward(self, counts: Tensor) -> Tensor:
        """uint16 (b, bands, edge, edge) to float32 (b,)."""
        tiles = self.standardise(counts)
        if self.turns > 1:
            tiles = torch.cat([_turned(tiles, turn) for turn in range(self.turns)])
        logits = self._logit(self._outputs(tiles)).reshape(self.turns, -1)
        logit = logits[0] if self.turns == 1 else _mean_logit(logits)
        if self.temperature != 1.0:
            logit = logit.clamp(-LARGEST_LOGIT, LARGEST_LOGIT) / self.temperature
        return torch.sigmoid(logit)

    def _outputs(self, tiles: Tensor) -> Tensor:
        # Keras takes bands last, and its own word for evaluation
        outputs: Tensor = (
            self.network(tiles.permute(0, 2, 3, 1), training=False) if self.bands_last else self.network(tiles)
        )
        return outputs

    def _logit(self, outputs: Tensor) -> Tensor:
        """As `loading.classes.agricultural_logit`."""
        if not self.agricultural:
            return outputs[:, 0]
        return torch.logsumexp(outputs[:, self.agricultural], 1) - torch.logsumexp(outputs[:, self.other], 1)


def _mean_logit(logits: Tensor) -> Tensor:
    """The logit of the mean probability of logits (orientations, b), without the rounding of probabilities near 1.

    By softplus: onnxruntime's sigmoid is right to seven digits of 1, so that the logarithm of a small one is not.
    """
    return torch.logsumexp(-softplus(-logits), 0) - torch.logsumexp(-softplus(logits), 0)


def _turned(tiles: Tensor, orientation: int) -> Tensor:
    """As `loading.augment.orient`, for many tiles."""
    if orientation & 1:
        tiles = tiles.flip(3)
    if orientation & 2:
        tiles = tiles.flip(2)
    return tiles.transpose(2, 3) if orientation & 4 else tiles


def export_onnx(run_folder: Path, temperature: float, target: Path) -> None:
    """Write the network of a run folder (`models/<model>/<run>`) as ONNX, for any number of tiles at once.

    Args:
        run_folder: The training run.
        temperature: What logits are divided by.
        target: The file.

    Raises:
        ModelError: Weights and contract do not belong together, or Keras runs on something other than torch.
    """
    contract, network = load_network(run_folder)
    if contract.framework == "keras":
        _require_torch_backend(contract)
    # without gradients: Keras's weights stand in the traced graph twice, which may then not be written to
    portable = Portable(network, contract, temperature).cpu().eval().requires_grad_(False)
    edge = contract.tile_size
    tiles = torch.ones((2, len(contract.bands), edge, edge), dtype=torch.uint16)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
    with torch.no_grad():
        program = torch.onnx.export(
            portable,
            (tiles,),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("tiles")},),
            opset_version=OPSET,
            verbose=False,
        )
    if program is None:
        raise ModelError(f"{run_folder}: torch made no ONNX of it; report it with the versions of torch and onnxscript")
    program.save(target, external_data=False)


def _require_torch_backend(contract: ModelContract) -> None:
    import keras

    if (backend := keras.backend.backend()) != "torch":
        raise ModelError(
            f"{contract.model}: ONNX is made from Keras on torch, not {backend}; set KERAS_BACKEND=torch (the weights "
            "are the same) and materialise the bundle again"
        )
