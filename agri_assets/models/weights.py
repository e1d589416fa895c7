"""Weights as safetensors: named arrays, no code, no pickle; the same for both frameworks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from agri_assets.errors import ModelError
from agri_assets.models.registry import Framework
from agri_assets.objects import local_copy
from agri_assets.store.commit import staged

WEIGHTS_FILE = "weights.safetensors"

Arrays = dict[str, npt.NDArray[Any]]


def get_weights(network: Any, framework: Framework) -> Arrays:
    """Copies of a network's weights and batch statistics by name."""
    if framework == "torch":
        return {name: value.detach().cpu().contiguous().numpy().copy() for name, value in network.state_dict().items()}
    import keras

    return {variable.path: np.array(keras.ops.convert_to_numpy(variable.value)) for variable in network.weights}


def set_weights(network: Any, framework: Framework, arrays: Mapping[str, npt.NDArray[Any]], where: str) -> None:
    """Put weights into a network built alike.

    Raises:
        ModelError: A name is missing or unknown, or a shape differs.
    """
    wanted = _shapes(network, framework)
    for name in sorted(wanted.keys() ^ arrays.keys()):
        kind = "lacks" if name in wanted else "holds an unknown"
        raise ModelError(f"{where}: {kind} {name}; it does not fit its contract, train again")
    for name, shape in wanted.items():
        if arrays[name].shape != shape:
            raise ModelError(f"{where}: {name} has shape {arrays[name].shape}, the network wants {shape}; train again")
    if framework == "torch":
        import torch

        network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
    else:
        for variable in network.weights:
            variable.assign(arrays[variable.path])


def parameter_count(network: Any, framework: Framework) -> int:
    """Trainable parameters of a network."""
    if framework == "torch":
        return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    return sum(int(np.prod(variable.shape)) for variable in network.trainable_variables)


def save_weights(path: Path, arrays: Arrays) -> None:
    """Write a safetensors file atomically."""
    with staged(path) as staging:
        save_file(arrays, staging)


def load_weights(path: Path) -> Arrays:
    """Read a safetensors file.

    Raises:
        ModelError: It is missing or not a safetensors file.
    """
    try:
        with local_copy(path) as file:
            return load_file(file)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; train the model again") from None
    except SafetensorError as error:
        raise ModelError(f"{path}: not a readable safetensors file ({error}); train the model again") from None


def _shapes(network: Any, framework: Framework) -> dict[str, tuple[int, ...]]:
    if framework == "torch":
        return {name: tuple(value.shape) for name, value in network.state_dict().items()}
    return {variable.path: tuple(variable.shape) for variable in network.weights}
