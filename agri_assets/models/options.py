"""What a recipe may say about the network itself, checked before anything is built."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import Field, ValidationError, field_validator

from agri_assets.errors import ModelError
from agri_assets.settings import Settings

SMALLEST_INPUT, LARGEST_INPUT = 32, 512
"""Edges the networks accept, in pixels: below 32 a network of total stride 32 has nothing left to look at."""

LOGIT_STD = 0.01
"""Standard deviation of the last layer's first weights, as in Goyal et al., 2017, arXiv:1706.02677, section 5.1."""


class NetworkOptions(Settings):
    """Options that every network has.

    Attributes:
        input_size: Edge that tiles are resized to before the network sees them, in pixels; 0: as `input_scale` says.
        input_scale: Tiles are enlarged by this before the network sees them, whatever their edge.
        drop_rate: Dropout before the last layer.
    """

    input_size: int = Field(default=0, ge=0, le=LARGEST_INPUT)
    input_scale: float = Field(default=1.0, ge=0.25, le=4)
    drop_rate: float = Field(default=0.0, ge=0, lt=1)

    @field_validator("input_size")
    @classmethod
    def _large_enough(cls, value: int) -> int:
        if 0 < value < SMALLEST_INPUT:
            raise ValueError(f"must be 0 (as the tiles are) or at least {SMALLEST_INPUT}")
        return value

    def edge(self, tile_size: int) -> int:
        """Edge in pixels of what the network itself sees."""
        return self.input_size or max(SMALLEST_INPUT, round(tile_size * self.input_scale))


Options = TypeVar("Options", bound=NetworkOptions)


def parse_options(kind: type[Options], model: str, values: Mapping[str, Any]) -> Options:
    """Validate a recipe's `options` for one network.

    Raises:
        ModelError: An option is unknown or its value is not what the network expects.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise ModelError(f"{model}: unknown option {name!r}; it knows {', '.join(kind.model_fields)}") from None
        problem = first["msg"].removeprefix("Value error, ")
        raise ModelError(f"{model}: option {name or 'values'}: {problem}, got {first.get('input')!r}") from None
