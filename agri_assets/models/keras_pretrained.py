"""Weights for a Keras network to begin with: published ones, or those of a file, for any number of bands."""

import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from agri_assets.errors import ModelError
from agri_assets.models.keras_parts import FusedBatchNormalization
from agri_assets.models.weights import Arrays, get_weights, load_weights

HUB = "hub"
"""Stands for the weights that `keras.applications` downloads: of ImageNet, for three bands."""

FIRST = "conv1_conv/kernel"
"""The weights of ResNet-50 that see the bands, (7, 7, bands, 64)."""

OWN = "logit/"
"""Names of what is learnt anew: the last layer."""


def begin_with(network: Any, source: str) -> None:
    """Put weights into the trunk of a fresh network; its last layer stays as it is.

    Filters for other bands become the mean of those there are. Whatever scale of input they were trained on, the norm
    behind them makes up for it.

    Args:
        network: ResNet-50 as `models.resnet50` builds it.
        source: `hub`, or a `.safetensors`, `.weights.h5` or `.keras` file of the trunk, or of a network with it.

    Raises:
        ModelError: The file is missing, of another kind, or does not fit.
    """
    arrays = _published() if source == HUB else _read(Path(source), network.input_shape[-1])
    wanted = {variable.path: variable for variable in network.weights if not variable.path.startswith(OWN)}
    for name, variable in wanted.items():
        if name not in arrays:
            raise ModelError(f"pretrained {source}: lacks {name}; name a file of ResNet-50's trunk")
        array = arrays[name]
        if name == FIRST:
            array = _for_bands(array, variable.shape[2])
        if tuple(array.shape) != tuple(variable.shape):
            raise ModelError(
                f"pretrained {source}: {name} has shape {tuple(array.shape)}, the network wants "
                f"{tuple(variable.shape)}; name a file of ResNet-50's trunk"
            )
        variable.assign(array)


def _for_bands(kernel: npt.NDArray[Any], bands: int) -> npt.NDArray[Any]:
    """Filters for another number of bands: the mean of those there are, scaled so that sums stay as large."""
    if kernel.ndim != 4 or kernel.shape[2] == bands:
        return kernel
    return np.repeat(kernel.mean(axis=2, keepdims=True) * kernel.shape[2] / bands, bands, axis=2)


def _published() -> Arrays:
    return get_weights(keras.applications.ResNet50(weights="imagenet", include_top=False), "keras")


def _read(path: Path, bands: int) -> Arrays:
    """Weights by name from a file of any of the kinds that Keras knows, or of ours."""
    if path.suffix == ".safetensors":
        return load_weights(path)
    if path.suffix not in (".keras", ".h5"):
        raise ModelError(f"pretrained {path}: expected hub or a .safetensors, .weights.h5 or .keras file")
    if not path.is_file():
        raise ModelError(f"pretrained {path}: no such file")
    try:
        with warnings.catch_warnings():
            # a file that holds something else is told below, by what it lacks
            warnings.simplefilter("ignore")
            if path.suffix == ".keras":
                own = {"FusedBatchNormalization": FusedBatchNormalization}
                return get_weights(keras.saving.load_model(path, custom_objects=own, compile=False), "keras")
            return _read_h5(path, bands)
    except (ValueError, TypeError, KeyError, OSError) as error:
        told = str(error).strip().splitlines()[0]
        raise ModelError(f"pretrained {path}: cannot be read as weights of ResNet-50's trunk ({told})") from None


def _read_h5(path: Path, bands: int) -> Arrays:
    """Keras names nothing but places in such a file, so a trunk of as many bands is needed to read it."""
    *others, last = sorted({3, bands})
    for count in others:
        try:
            return _filled(path, count)
        except ValueError:
            continue
    return _filled(path, last)


def _filled(path: Path, bands: int) -> Arrays:
    trunk = keras.applications.ResNet50(weights=None, include_top=False, input_shape=(None, None, bands))
    trunk.load_weights(path)
    return get_weights(trunk, "keras")
