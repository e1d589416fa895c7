"""The phases that `benchmarks.training` measures, each run as a process: trainings, and epochs of a loader alone.

What trains is imported where it is used, since each worker of a loader imports this module.
"""

import argparse
import json
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agri_assets.loading.torch_data import TileLoader, make_loader
from agri_assets.objects import ObjectPath
from agri_assets.training.history import EpochRecord
from agri_assets.training.recipe import ModelName
from benchmarks.made_cube import every_position, made_training
from benchmarks.phases import Clock

if TYPE_CHECKING:
    from agri_assets.training.torch_fit import TorchTraining

BATCH = 64
EPOCHS = 3
"""The first one starts the workers and is not counted."""


def _training(cube: Path, model: ModelName, settings: dict[str, Any], folder: Path) -> "TorchTraining":
    return made_training(cube, model, {"epochs": EPOCHS, "batch_size": BATCH, **settings}, folder)


def joint(cube: Path, model: ModelName, settings: dict[str, Any]) -> None:
    """The training loop itself, reading as it trains; on a CUDA device it is watched once the workers have started."""
    from agri_assets.training.usage import DeviceWatch

    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        training = _training(cube, model, settings, Path(folder))
        task, pin = training.task, training.fabric.device.type == "cuda"
        train, val = (
            make_loader(**task.reading(training=one), workers=task.workers, pin_memory=pin) for one in (True, False)
        )
        clock, watch = Clock(), None
        for epoch in range(EPOCHS):
            if epoch == 1:
                watch = stack.enter_context(DeviceWatch())
            training.train_epoch(train)
            training.validate(val)
        counted: tuple[EpochRecord, ...] = training.recorder.history.epochs[1:]
    seconds = sum(epoch.seconds for epoch in counted)
    rate = sum(epoch.samples for epoch in counted) / seconds
    wait = sum(epoch.data_wait * epoch.seconds for epoch in counted) / seconds
    clock.report(samples_per_s=rate, data_wait=wait, **(watch.figures() if watch else {}))


def resident(cube: Path, model: ModelName, settings: dict[str, Any]) -> None:
    """The same steps on one batch that stays on the device."""
    with tempfile.TemporaryDirectory() as folder:
        training = _training(cube, model, settings, Path(folder))
        batch = next(iter(make_loader(**training.task.reading(training=True))))
        kept = batch._replace(pixels=batch.pixels.to(training.fabric.device))
        training.network.train()
        steps, size = training.task.epoch_steps, training.recipe.batch_size
        for _ in range(min(5, steps)):
            training.train_step(kept)
        _wait()
        clock = Clock()
        for _ in range(steps):
            training.train_step(kept)
        _wait()
        clock.report(samples=steps * size)


def _wait() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def epochs(cube: Path, *, persistent: bool) -> None:
    """Epochs of the loader alone, with workers that stay, or new ones for each epoch."""
    samples = every_position(cube)

    def loader() -> TileLoader:
        return make_loader(samples, {samples.tiles[0]: cube}, BATCH, shuffle=True, workers=2)

    kept, tiles = loader(), 0
    for _ in kept:
        pass
    clock = Clock()
    for epoch in range(1, EPOCHS):
        reading = kept if persistent else loader()
        reading.dataset.set_epoch(epoch)
        tiles += sum(len(batch.pixels) for batch in reading)
    clock.report(tiles=tiles, epochs=EPOCHS - 1)


def main() -> None:
    """Run one phase."""
    parser = argparse.ArgumentParser()
    parser.add_argument("phase", choices=["joint", "resident", "persistent", "fresh"])
    parser.add_argument("cube", type=lambda text: ObjectPath(text) if text.startswith("s3://") else Path(text))
    parser.add_argument("--model", default="cnn_vit_hybrid")
    parser.add_argument("--settings", type=json.loads, default={})
    args = parser.parse_args()
    if args.phase in ("persistent", "fresh"):
        epochs(args.cube, persistent=args.phase == "persistent")
    else:
        {"joint": joint, "resident": resident}[args.phase](args.cube, args.model, args.settings)


if __name__ == "__main__":
    main()
