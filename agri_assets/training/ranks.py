"""Processes that train together, as torchrun starts them. One of them, rank 0, decides and writes; all compute."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed

PATIENCE = timedelta(days=7)
"""How long ranks wait for a word of the first, which may itself wait for a device that another training has."""

T = TypeVar("T")


@dataclass
class Ranks:
    """This process among those that train together; by itself it is rank 0 of 1.

    Attributes:
        rank: Its number.
        size: How many there are.
        local_size: How many of them are on this machine.
        busy: Whether they compute: then none of them listens to what rank 0 tells.
        group: What rank 0 tells goes this way.
    """

    rank: int = 0
    size: int = 1
    local_size: int = 1
    busy: bool = False
    group: Any = None

    @property
    def leads(self) -> bool:
        """Whether this one decides and writes."""
        return self.rank == 0

    def tell(self, message: T) -> T:
        """What rank 0 gives here, to all; the others wait for it, and what they give is ignored."""
        if self.size == 1:
            return message
        box = [message]
        distributed.broadcast_object_list(box, src=0, group=self.group)
        return box[0]

    def gather(self, value: T) -> list[T]:
        """What each rank gives here, by rank."""
        if self.size == 1:
            return [value]
        found: list[T] = [value] * self.size
        distributed.all_gather_object(found, value, group=self.group)
        return found


@contextmanager
def ranks_of(environment: Mapping[str, str] = os.environ) -> Iterator[Ranks]:
    """The ranks that torchrun started, connected for the length of the block; without torchrun this process alone."""
    size = int(environment.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Ranks()
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(environment["LOCAL_RANK"]))
    # Fabric finds these groups and uses the first; the second is for words, on the host, and patient
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        words = distributed.new_group(backend="gloo", timeout=PATIENCE)
        yield Ranks(int(environment["RANK"]), size, int(environment["LOCAL_WORLD_SIZE"]), group=words)
    finally:
        distributed.destroy_process_group()
