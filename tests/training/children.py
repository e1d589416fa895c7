"""Trainings in processes of their own: killed at a chosen place, or one of several ranks."""

import json
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from agri_assets.models.weights import WEIGHTS_FILE, load_weights

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["agri_assets.training.run", "agri_assets.training.torch_fit"])

STARTED = "STARTED"
"""Names the file of a dying training's processes."""


def killed_at(
    place: str,
    count: int,
    world: Any,
    recipe: Mapping[str, Any],
    places: "Mapping[str, Callable[[int], None]] | None" = None,
    train: "Callable[[Any, dict[str, Any]], None] | None" = None,
) -> list[int]:
    """Train in another process, which ends itself by SIGKILL when it comes to a place for the `count`-th time.

    Args:
        place: One of `places`.
        count: See above.
        world: What is trained on.
        recipe: Settings of the training.
        places: Functions that set the trap; by default those of torch.
        train: The training; by default that of the hybrid.

    Returns:
        The processes that it had started.
    """
    trap = (PLACES if places is None else places)[place]
    child = CONTEXT.Process(target=_train_and_die, args=(trap, count, world, dict(recipe), train or _train))
    child.start()
    child.join(120)
    assert child.exitcode == -signal.SIGKILL, f"ended with {child.exitcode}"
    started: list[int] = json.loads((world.paths.root / STARTED).read_text())
    return started


def _train_and_die(
    trap: Callable[[int], None],
    count: int,
    world: Any,
    recipe: dict[str, Any],
    train: Callable[[Any, dict[str, Any]], None],
) -> None:
    os.environ[STARTED] = str(world.paths.root / STARTED)
    trap(count)
    train(world, recipe)


def _train(world: Any, recipe: dict[str, Any]) -> None:
    from agri_assets.training.run import train_model

    train_model(world.collection, world.paths, "cnn_vit_hybrid", recipe)


def die_in(owner: Any, name: str, count: int, before: Callable[..., None] = lambda *_: None) -> None:
    """Let the `count`-th call of a function be the end of this process."""
    original, calls = getattr(owner, name), [0]

    def patched(*args: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == count:
            before(original, *args)
            if STARTED in os.environ:
                children = psutil.Process().children(recursive=True)
                Path(os.environ[STARTED]).write_text(json.dumps([child.pid for child in children]))
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **options)

    setattr(owner, name, patched)


def _in_step(count: int) -> None:
    from agri_assets.training.recorder import Recorder

    die_in(Recorder, "step", count)


def _in_validation(count: int) -> None:
    from agri_assets.training.torch_fit import TorchTraining

    die_in(TorchTraining, "predict", count)


def _in_checkpoint(count: int) -> None:
    import torch

    die_in(torch, "save", count, half_written)


def half_written(save: Callable[..., None], content: Any, path: Path) -> None:
    """Leave the first half of a file, as a process does that dies while it writes."""
    save(content, path)
    os.truncate(path, path.stat().st_size // 2)


def _after_best_weights(count: int) -> None:
    from agri_assets.training.task import Task

    die_in(Task, "save_best", count, lambda save, *args: save(*args))


PLACES = {
    "step": _in_step,
    "validation": _in_validation,
    "checkpoint": _in_checkpoint,
    "best weights": _after_best_weights,
}


def ranks(size: int, work: Callable[..., None], *args: Any) -> list[int | None]:
    """Run a function in so many processes with the environment that torchrun gives them; returns their exit codes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = [CONTEXT.Process(target=_as_rank, args=(rank, size, port, work, args)) for rank in range(size)]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
    return [child.exitcode for child in children]


def _as_rank(rank: int, size: int, port: int, work: Callable[..., None], args: tuple[Any, ...]) -> None:
    named = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in named.items()}, MASTER_ADDR="127.0.0.1")
    os.environ.update(TORCHELASTIC_RUN_ID="none", GROUP_RANK="0")
    work(*args)


def require_same(outcome: Any, straight: tuple[Any, Any]) -> None:
    """Hold weights and epochs of a training against those of one that nobody interrupted, bit for bit."""
    wanted, epochs = straight
    found = load_weights(outcome.path / WEIGHTS_FILE)
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)
    for row, other in zip(outcome.tables["epochs"].rows, epochs, strict=True):
        for name in ("loss", "val_loss", "val_auc", "learning_rate", "samples"):
            assert row[name] == other[name]
