"""Probabilities from a finished run folder, for either framework, behind one small interface."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from agri_assets.errors import ModelError
from agri_assets.loading.augment import ORIENTATIONS, orient
from agri_assets.loading.classes import agricultural_logit
from agri_assets.models.contract import ModelContract
from agri_assets.models.registry import build_network
from agri_assets.models.weights import WEIGHTS_FILE, load_weights, set_weights
from agri_assets.store.fingerprint import file_digest

CHUNK = 256
"""Tiles per forward pass, so that memory does not grow with what the caller asks for."""

Pixels = npt.NDArray[np.uint16]
Floats = npt.NDArray[np.float64]


class Forward(Protocol):
    """One forward pass without gradients."""

    def __call__(self, pixels: Pixels) -> Floats:
        """Logits (b, outputs) for pixels (b, bands, height, width)."""


@dataclass(frozen=True)
class Predictor:
    """A trained model that is ready to predict.

    Attributes:
        contract: What it is and expects.
        forward: Its forward pass.
    """

    contract: ModelContract
    forward: Forward

    def predict(self, pixels: Pixels) -> Floats:
        """Probabilities (b,) of agricultural for pixels (b, bands, tile_size, tile_size).

        Raises:
            ModelError: The pixels are not uint16, or not of the contract's shape.
        """
        edge = self.contract.tile_size
        wanted = (len(self.contract.bands), edge, edge)
        if pixels.dtype != np.uint16 or pixels.ndim != 4 or pixels.shape[1:] != wanted:
            raise ModelError(
                f"{self.contract.model}: pixels are {pixels.dtype} {pixels.shape}, "
                f"expected uint16 of (b, {', '.join(map(str, wanted))})"
            )
        if not len(pixels):
            return np.empty(0)
        return np.concatenate([self._chunk(pixels[start : start + CHUNK]) for start in range(0, len(pixels), CHUNK)])

    def _chunk(self, pixels: Pixels) -> Floats:
        turns = range(ORIENTATIONS) if self.contract.test_orientations else (0,)
        logits = (agricultural_logit(self.forward(turned(pixels, turn)), self.contract.classes) for turn in turns)
        return np.asarray(np.mean([sigmoid(one) for one in logits], axis=0))


def turned(pixels: Pixels, orientation: int) -> Pixels:
    """Tiles (b, bands, height, width) in one of the eight orientations, contiguous."""
    return np.ascontiguousarray(orient(pixels.reshape(-1, *pixels.shape[2:]), orientation)).reshape(pixels.shape)


def sigmoid(logits: npt.NDArray[np.floating[Any]]) -> Floats:
    """Logistic function in float64, without overflow."""
    wide = np.asarray(logits, dtype=np.float64)
    # exp(-log(1 + exp(-x))); logaddexp does not overflow at either end
    return np.asarray(np.exp(-np.logaddexp(0.0, -wide)))


def load_predictor(run_folder: Path) -> Predictor:
    """The model of a run folder (`models/<model>/<run>`), on the device that is there.

    Raises:
        ModelError: Contract or weights are missing, damaged, or do not belong together.
    """
    contract, network = load_network(run_folder)
    forward = torch_forward if contract.framework == "torch" else _keras_forward
    return Predictor(contract, forward(network, contract))


def load_network(run_folder: Path) -> tuple[ModelContract, Any]:
    """The contract of a run folder, and its network (standardised tiles to logits) with the weights in it.

    Raises:
        ModelError: Contract or weights are missing, damaged, or do not belong together.
    """
    contract = ModelContract.load(run_folder)
    path = run_folder / WEIGHTS_FILE
    arrays = load_weights(path)
    if file_digest(path) != contract.weights_digest:
        raise ModelError(f"{path}: is not the file its contract names (digests differ); train the model again")
    outputs = len(contract.classes) or 1
    network = build_network(contract.model, len(contract.bands), contract.tile_size, contract.options, outputs)
    set_weights(network, contract.framework, arrays, str(path))
    return contract, network


def torch_forward(network: Any, contract: ModelContract) -> Forward:
    """The forward pass of a torch network on the device that is there."""
    import torch

    from agri_assets.models.torch_parts import Standardise

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = torch.nn.Sequential(Standardise(contract.mean, contract.std), network).eval()
    model = model.to(memory_format=torch.channels_last).to(device)

    def forward(pixels: Pixels) -> Floats:
        # torch takes over memory as it is, but complains of what must not be written to
        own = pixels if pixels.flags.writeable else pixels.copy()
        with torch.inference_mode():
            logits: npt.NDArray[Any] = model(torch.from_numpy(own).to(device)).cpu().double().numpy()
        return logits

    return forward


def _keras_forward(network: Any, contract: ModelContract) -> Forward:
    from agri_assets.models.keras_parts import on_pixels

    model = on_pixels(network, contract.mean, contract.std)

    def forward(pixels: Pixels) -> Floats:
        bands_last = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1), dtype=np.float32)
        return np.asarray(model.predict_on_batch(bands_last), dtype=np.float64)

    return forward
