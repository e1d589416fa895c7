"""Weights for a torch network to begin with: timm's own from its hub, or a file of such weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
from timm.models import adapt_input_conv, load_state_dict
from torch import Tensor

from agri_assets.errors import ModelError, first_line
from agri_assets.models.cnn_vit_hybrid import HybridOptions
from agri_assets.models.options import parse_options
from agri_assets.objects import local_copy, locate
from agri_assets.store.fingerprint import file_digest
from agri_assets.training.recipe import HUB, ModelName

State = dict[str, Tensor]


def pretrained_key(source: str) -> str:
    """What weights to begin with are, for a fingerprint: a file by its content, wherever it lies.

    Raises:
        ModelError: There is no such file.
    """
    return file_digest(_file(source)) if source not in ("", HUB) else source


def begin_with(network: Any, model: ModelName, source: str, bands: int, options: Mapping[str, Any]) -> None:
    """Put weights into a network, all but those of its own last layers; the first layer is adapted to the bands.

    The file (safetensors, or tensors saved by torch) holds the weights of the whole timm network: `efficientnet_b3`, or
    the trunk of the hybrid, of which the part up to the hand-over is used.

    Args:
        network: As the model's module builds it.
        model: Its name.
        source: `hub`, or the path of a file.
        bands: Bands of a tile.
        options: The recipe's `options`.

    Raises:
        ModelError: The weights cannot be had, or do not fit.
    """
    name: str = model
    part = network.backbone
    if model == "cnn_vit_hybrid":
        name, part = parse_options(HybridOptions, model, options).trunk, network.backbone.trunk
    whole: Any = timm.create_model(name, pretrained=False, in_chans=bands)
    found = _from_hub(name) if source == HUB else _from_file(source)
    _fit(found, whole, bands, f"pretrained: {source}: not weights of {name}")
    # timm writes an underscore for some dots when it cuts a network
    usable = {_flat(key): value for key, value in found.items() if key not in _head(whole, found)}
    state = {key: usable.get(_flat(key), value) for key, value in part.state_dict().items()}
    part.load_state_dict(state)


def _from_hub(name: str) -> State:
    try:
        network: Any = timm.create_model(name, pretrained=True)
    except Exception as error:  # whatever the hub's client and its network layers raise
        told = first_line(error)
        raise ModelError(f"pretrained: hub: weights of {name} cannot be had ({told}); name a file instead") from None
    found: State = network.state_dict()
    return found


def _from_file(source: str) -> State:
    path = _file(source)
    try:
        with local_copy(path) as file:
            found: State = load_state_dict(str(file))
    except Exception as error:  # a file may be damaged in as many ways as there are formats
        told = first_line(error)
        raise ModelError(f"pretrained: {source}: not a file of weights ({told}); name another") from None
    return found


def _file(source: str) -> Path:
    path = locate(Path(source).expanduser())
    if not path.is_file():
        raise ModelError(f"pretrained: {source}: no such file; name a file of weights, or `hub`")
    return path


def _fit(found: State, whole: Any, bands: int, refusal: str) -> None:
    """Adapt the first layer to the bands, and refuse what then does not fit a whole network."""
    wanted, head = whole.state_dict(), _head(whole, found)
    for key in sorted((wanted.keys() ^ found.keys()) - head):
        raise ModelError(f"{refusal}: {'lacks' if key in wanted else 'holds an unknown'} {key}; name another file")
    first: Any = whole.pretrained_cfg["first_conv"]
    for layer in (first,) if isinstance(first, str) else first or ():
        key = f"{layer}.weight"
        try:
            found[key] = adapt_input_conv(bands, found[key], found[key].shape[1])
        except (NotImplementedError, IndexError) as error:
            raise ModelError(f"{refusal}: {key} cannot be adapted to {bands} bands ({error})") from None
    for key in sorted(wanted.keys() - head):
        shape, needed = tuple(found[key].shape), tuple(wanted[key].shape)
        if shape != needed:
            raise ModelError(f"{refusal}: {key} has shape {shape}, the network wants {needed}; name another file")


def _head(whole: Any, found: State) -> set[str]:
    """Names of the last layer's weights, which are learnt anew."""
    layers: Any = whole.pretrained_cfg["classifier"]
    prefixes = tuple(f"{layer}." for layer in ((layers,) if isinstance(layers, str) else layers or ()))
    return {key for key in {*whole.state_dict(), *found} if key.startswith(prefixes)}


def _flat(name: str) -> str:
    return name.replace(".", "_")
