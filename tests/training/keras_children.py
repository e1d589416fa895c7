"""A Keras network that trains in a moment, and trainings of it in processes that are killed at a chosen place."""

from collections.abc import Mapping
from typing import Any

from tests.training import children

MODEL = "resnet50"


def tiny_network(bands: int, tile_size: int, options: Mapping[str, Any], outputs: int = 1) -> Any:
    """Stands in for ResNet-50: a convolution, a norm, dropout and the last layer."""
    import keras

    from agri_assets.models.keras_parts import FusedBatchNormalization

    tiles = keras.Input((tile_size, tile_size, bands), name="tiles")
    features = keras.layers.Conv2D(8, 3, strides=2, name="conv")(tiles)
    features = keras.layers.ReLU()(FusedBatchNormalization(momentum=0.9, name="norm")(features))
    features = keras.layers.GlobalAveragePooling2D()(features)
    features = keras.layers.Dropout(0.2, seed=0)(features)
    return keras.Model(tiles, keras.layers.Dense(outputs, dtype="float32", name="logit")(features), name="tiny")


def trained(world: Any, recipe: Mapping[str, Any]) -> None:
    """Train in another process, whose settings of the backend are its own."""
    child = children.CONTEXT.Process(target=_train, args=(world, dict(recipe)))
    child.start()
    child.join(120)
    assert child.exitcode == 0, f"ended with {child.exitcode}"


def killed_at(place: str, count: int, world: Any, recipe: Mapping[str, Any]) -> None:
    """See `children.killed_at`."""
    children.killed_at(place, count, world, recipe, PLACES, _train)


def _train(world: Any, recipe: dict[str, Any]) -> None:
    from agri_assets.models.registry import choose_backend
    from agri_assets.training.run import train_model

    choose_backend("keras")
    from agri_assets.models import resnet50

    resnet50.build = tiny_network
    train_model(world.collection, world.paths, MODEL, recipe)


def _in_validation(count: int) -> None:
    from agri_assets.training.keras_model import TileTraining

    children.die_in(TileTraining, "predict_on_batch", count)


def _in_checkpoint(count: int) -> None:
    from agri_assets.training import keras_state

    children.die_in(keras_state, "save_file", count, children.half_written)


PLACES = {**children.PLACES, "validation": _in_validation, "checkpoint": _in_checkpoint}
