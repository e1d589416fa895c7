"""Which device a training uses, and its lock: one training at a time per device and data root."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

from agri_assets.errors import StoreError
from agri_assets.objects import ObjectPath
from agri_assets.store.commit import locked

logger = logging.getLogger(__name__)

FOREVER = -1.0


def device_name() -> str:
    """`cpu`, or `cuda-<uuid>`: the same for every process, whatever number the device has in it."""
    if not torch.cuda.is_available():
        return "cpu"
    return f"cuda-{torch.cuda.get_device_properties(0).uuid}"


@contextmanager
def held_device(root: Path, name: str) -> Iterator[None]:
    """Hold the device for the length of the block; waits, and says so, while another training has it.

    Args:
        root: The data root, where the lock file is; for object storage it is among temporary files.
        name: From `device_name`.
    """
    here = Path(tempfile.gettempdir()) if isinstance(root, ObjectPath) else root
    target, what = here / f"device-{name}", f"device {name}"
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(target, what))
        except StoreError:
            logger.info("device %s trains another model; waiting for it", name)
            stack.enter_context(locked(target, what, timeout_s=FOREVER))
        yield
