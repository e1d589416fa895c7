"""Which device a training uses, and its lock: one training at a time per device and data root."""

import logging
import tempfile
from collections.abc import Iterable, Iterator, Sequence
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
    return _name(torch.cuda.current_device()) if torch.cuda.is_available() else "cpu"


def _name(number: int) -> str:
    return f"cuda-{torch.cuda.get_device_properties(number).uuid}"


def _lock_folder(root: Path) -> Path:
    return Path(tempfile.gettempdir()) if isinstance(root, ObjectPath) else root


@contextmanager
def held_free_device(root: Path) -> Iterator[None]:
    """Hold the first CUDA device that no other training holds, and make it the one that torch computes on.

    Where all are held it waits for the one that is torch's own; a machine without CUDA has one device, its processor.

    Args:
        root: The data root, as for `held_devices`.
    """
    with ExitStack() as stack:
        number = first_free(root, [_name(number) for number in range(torch.cuda.device_count())], stack)
        if number is None:
            stack.enter_context(held_devices(root, [device_name()]))
        else:
            torch.cuda.set_device(number)
        yield


def first_free(root: Path, names: Sequence[str], stack: ExitStack) -> int | None:
    """The number of the first device that nobody holds, held from now on by `stack`; None where all are held."""
    for number, name in enumerate(names):
        try:
            stack.enter_context(locked(_lock_folder(root) / f"device-{name}", f"device {name}"))
        except StoreError:
            continue
        return number
    return None


@contextmanager
def held_devices(root: Path, names: Iterable[str]) -> Iterator[None]:
    """Hold devices for the length of the block; waits, and says so, while another training has one of them.

    Args:
        root: The data root, where the lock files are; for object storage they are among temporary files.
        names: From `device_name`, of all ranks that train together.
    """
    with ExitStack() as stack:
        # in one order everywhere, so that two trainings of several devices never wait for each other
        for name in sorted(set(names)):
            target, what = _lock_folder(root) / f"device-{name}", f"device {name}"
            try:
                stack.enter_context(locked(target, what))
            except StoreError:
                logger.info("device %s trains another model; waiting for it", name)
                stack.enter_context(locked(target, what, timeout_s=FOREVER))
        yield
