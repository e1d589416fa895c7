"""Files of weights that run code when they are unpickled are refused, and run nothing."""

import os
import pickle

import pytest
import torch

from agri_assets.errors import ModelError, TrainingError
from agri_assets.training.plan import plan_training
from agri_assets.training.run import train_model

MODEL = "cnn_vit_hybrid"


class Mischief:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.fixture
def mischief(tmp_path):
    """Writes such a file; afterwards nothing may have happened."""
    folder = tmp_path / "mischief"

    def write(path, save):
        path.parent.mkdir(parents=True, exist_ok=True)
        save({"network": Mischief(folder)}, path)
        return path

    yield write
    assert not folder.exists()


def plainly_pickled(content, path):
    path.write_bytes(pickle.dumps(content, protocol=2))


@pytest.mark.parametrize("save", [torch.save, plainly_pickled])
def test_a_checkpoint_runs_no_code(world, mischief, save):
    mischief(plan_training(world.collection, world.paths, MODEL).folder / "checkpoints" / "last.ckpt", save)
    with pytest.raises(TrainingError, match="not a usable checkpoint"):
        train_model(world.collection, world.paths, MODEL)


@pytest.mark.parametrize("save", [torch.save, plainly_pickled])
def test_weights_to_begin_with_run_no_code(world, mischief, tmp_path, save):
    file = mischief(tmp_path / "trunk.pth", save)
    with pytest.raises(ModelError, match=r"trunk\.pth: not a file of weights"):
        train_model(world.collection, world.paths, MODEL, {"pretrained": str(file)})
