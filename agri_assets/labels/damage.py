"""What goes wrong while land cover is read, told as a matter of labels."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from agri_assets.errors import LabelError, RemoteError, SceneError

REFETCH = "damaged, fetch it again"

_OPENER = re.compile(r"/vsiriopener_\w+/(remote/)?")
"""Where a raster at another host lies in GDAL's own words; people know it by its name."""


@contextmanager
def as_label_error() -> Iterator[None]:
    """Tell damage to a document or raster as a matter of labels; what a host does not give stays that host's matter."""
    try:
        yield
    except RemoteError:
        raise
    except SceneError as error:
        raise LabelError(str(error)) from None


@contextmanager
def as_damage() -> Iterator[None]:
    """As `as_label_error`, for pixels: what cannot be read although its file could be opened is damaged."""
    try:
        yield
    except RemoteError:
        raise
    except SceneError as error:
        message = _OPENER.sub("", str(error))
        raise LabelError(message if message.endswith(REFETCH) else f"{message}; {REFETCH}") from None
