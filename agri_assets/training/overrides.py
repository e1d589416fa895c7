"""`--set key=value`: single settings laid over a recipe."""

from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from pydantic import ValidationError

from agri_assets.errors import ConfigError
from agri_assets.training.recipe import Recipe

OPTION_PREFIX = "options."


def parse_overrides(settings: Iterable[str]) -> dict[str, Any]:
    """`["epochs=3", "options.depth=6"]` as a mapping; values are read as YAML.

    Raises:
        ConfigError: A setting is not of the form `key=value`.
    """
    found: dict[str, Any] = {}
    for setting in settings:
        key, sign, value = setting.partition("=")
        if not sign or not key.strip():
            raise ConfigError(f"--set {setting}: expected key=value, such as epochs=3 or options.drop_rate=0.2")
        try:
            found[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ConfigError(f"--set {setting}: {value!r} is not a value; quote it if it is text") from None
    return found


def override(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """The recipe with settings laid over it; `options.<name>` sets one option of the network.

    Raises:
        ConfigError: A key is no setting of a recipe, or its value is not what is expected.
    """
    values = recipe.model_dump()
    for key, value in settings.items():
        if key.startswith(OPTION_PREFIX):
            values["options"][key.removeprefix(OPTION_PREFIX)] = value
        elif key in values:
            values[key] = value
        else:
            known = ", ".join([*Recipe.model_fields, f"{OPTION_PREFIX}<name>"])
            raise ConfigError(f"--set {key}: no such setting; a recipe knows {known}")
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"--set {name}: {first['msg']}, got {first.get('input')!r}") from None
