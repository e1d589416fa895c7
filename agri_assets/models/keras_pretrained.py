"""Weights for the trunk of a Keras network to begin with: published ones, or those of a file, for any bands."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from agri_assets.errors import ModelError, first_line
from agri_assets.models.keras_parts import FusedBatchNormalization
from agri_assets.models.weights import Arrays, get_weights, load_weights
from agri_assets.objects import local_copy, locate
from agri_assets.training.recipe import HUB

FIRST = "conv1_conv/kernel"
"""The weights of ResNet-50 that see the bands, (7, 7, bands, 64)."""

OWN = "logit/"
"""What names of weights begin with that are learnt anew: those of the last layer."""

KINDS = (".safetensors", ".weights.h5", ".h5", ".keras")

RGB = 3


def begin_with(network: Any, source: str) -> None:
    """Put weights into a fresh network, all but those of its last layer.

    Filters for other bands become the mean of those there are. Whatever scale of input they were trained on, the norm
    behind them makes up for it.

    Args:
        network: ResNet-50 as `models.resnet50` builds it.
        source: `hub` for the weights of ImageNet, which are downloaded; or a file of its trunk as `keras.applications`
            makes it, or of a network with these layers: of safetensors, or as Keras saves it.

    Raises:
        ModelError: The weights cannot be had, or do not fit.
    """
    bands = network.input_shape[-1]
    name = f"pretrained: {source}"
    arrays = _from_hub() if source == HUB else _from_file(locate(Path(source).expanduser()), bands)
    for variable in network.weights:
        if variable.path.startswith(OWN):
            continue
        if variable.path not in arrays:
            raise ModelError(f"{name}: not weights of ResNet-50: lacks {variable.path}; name another file")
        array = arrays[variable.path]
        if variable.path == FIRST and array.ndim == len(variable.shape):
            array = _for_bands(array, bands)
        if array.shape != tuple(variable.shape):
            raise ModelError(
                f"{name}: not weights of ResNet-50: {variable.path} has shape {array.shape}, the network wants "
                f"{tuple(variable.shape)}; name another file"
            )
        variable.assign(array)


def _for_bands(kernel: npt.NDArray[Any], bands: int) -> npt.NDArray[Any]:
    """Filters (height, width, bands, filters) for another number of bands, scaled so that their sums stay as large."""
    there = kernel.shape[2]
    if there == bands:
        return kernel
    return np.repeat(kernel.mean(axis=2, keepdims=True) * there / bands, bands, axis=2)


def _from_hub() -> Arrays:
    try:
        return get_weights(keras.applications.ResNet50(weights="imagenet", include_top=False), "keras")
    except Exception as error:  # Keras wraps whatever its download meets in a plain Exception
        raise ModelError(
            f"pretrained: hub: weights of ResNet-50 cannot be had ({first_line(error)}); name a file instead"
        ) from None


def _from_file(path: Path, bands: int) -> Arrays:
    """Weights by name."""
    if not path.is_file():
        raise ModelError(f"pretrained: {path}: no such file; name a file of weights, or `hub`")
    if path.suffix == ".safetensors":
        return load_weights(path)
    if not path.name.endswith(KINDS):
        raise ModelError(f"pretrained: {path}: not a file of weights for Keras; name one of {', '.join(KINDS)}")
    try:
        with local_copy(path) as file:
            return _saved_whole(file) if path.suffix == ".keras" else _saved_weights(file, bands)
    except Exception as error:  # a file may be damaged in as many ways as there are formats
        raise ModelError(f"pretrained: {path}: not weights of ResNet-50 ({first_line(error)}); name another") from None


def _saved_whole(file: Path) -> Arrays:
    own = {"FusedBatchNormalization": FusedBatchNormalization}
    return get_weights(keras.saving.load_model(file, custom_objects=own, compile=False), "keras")


def _saved_weights(file: Path, bands: int) -> Arrays:
    """Such a file has no names, only places: a trunk of as many bands is needed to read it."""
    try:
        return _filled(file, RGB)
    except ValueError:
        return _filled(file, bands)


def _filled(file: Path, bands: int) -> Arrays:
    trunk = keras.applications.ResNet50(weights=None, include_top=False, input_shape=(None, None, bands))
    trunk.load_weights(file)
    return get_weights(trunk, "keras")
