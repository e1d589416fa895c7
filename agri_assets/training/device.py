"""Which device a training uses, and its lock: one training at a time per device and data root."""

import logging
import tempfile
from collections.abc import Iterable, Iterator
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
    return f"cuda-{torch.cuda.get_device_properties(torch.cuda.current_device()).uuid}"


@contextmanager
def held_devices(root: Path, names: Iterable[str]) -> Iterator[None]:
    """Hold devices for the length of the block; waits, and says so, while another training has one of them.

    Args:
        root: The data root, where the lock files are; for object storage they are among temporary files.
        names: From `device_name`, of all ranks that train together.
    """
    here = Path(tempfile.gettempdir()) if isinstance(root, ObjectPath) else root
    with ExitStack() as stack:
        # in one order everywhere, so that two trainings of several devices never wait for each other
        for name in sorted(set(names)):
            target, what = here / f"device-{name}", f"device {name}"
            try:
                stack.enter_context(locked(target, what))
            except StoreError:
                logger.info("device %s trains another model; waiting for it", name)
                stack.enter_context(locked(target, what, timeout_s=FOREVER))
        yield
