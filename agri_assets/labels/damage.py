"""What goes wrong while land cover is read, told as a matter of labels."""

from collections.abc import Iterator
from contextlib import contextmanager

from agri_assets.errors import LabelError, RemoteError, SceneError


@contextmanager
def as_label_error() -> Iterator[None]:
    """Tell damage to a document or raster as a matter of labels; what a host does not give stays that host's matter."""
    try:
        yield
    except RemoteError:
        raise
    except SceneError as error:
        raise LabelError(str(error)) from None
