"""The base of every settings model: strict about keys, frozen once read."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A part of `collections.yaml`; unknown keys and wrong types are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
