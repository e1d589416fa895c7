"""What things are: digests of inputs, so that 'up to date' is our own notion and means the same everywhere."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

RUN_DIGITS = 12
"""Hex digits of a run name."""


def fingerprint(**inputs: Any) -> str:
    """SHA-256 (hex) of named inputs: JSON values, paths, pydantic models, and nestings of them."""
    text = json.dumps(inputs, sort_keys=True, default=_plain, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def run_name(full: str) -> str:
    """The first 12 hex digits of a fingerprint: the name of a run folder."""
    return full[:RUN_DIGITS]


def file_stamp(path: Path) -> str:
    """A cheap identity of a file or folder: name, size and modification time of every file in it.

    Contents are not read: sources are tens of gigabytes, and what is read from them is digested when it is decoded.
    """
    files = sorted(item for item in path.rglob("*") if item.is_file()) if path.is_dir() else [path]
    rows = [[str(item.relative_to(path)), item.stat().st_size, item.stat().st_mtime_ns] for item in files]
    return fingerprint(name=path.name, rows=rows)


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return list(value)
    raise TypeError(f"cannot fingerprint {type(value).__name__}")
