"""Maps in processes of their own that are killed amidst their predictions."""

import multiprocessing
import os
import signal
from pathlib import Path

CONTEXT = multiprocessing.get_context("spawn")


def killed_after(batches, collection, paths, tile):
    """Make a map in another process, which ends itself by SIGKILL when asked to predict one batch more than these."""
    child = CONTEXT.Process(target=_map_and_die, args=(batches, collection, paths, tile))
    child.start()
    child.join(120)
    assert child.exitcode == -signal.SIGKILL, f"ended with {child.exitcode}"


def _map_and_die(batches, collection, paths, tile):
    from agri_assets.maps import land_map

    land_map.load_predictor = lambda folder: Counting(folder, batches)
    land_map.build_map(collection, paths, tile)


class Counting:
    """The model that reads brightness, and counts what it is asked for; ends its process after so many batches."""

    def __init__(self, folder: Path, last: int | None = None):
        from agri_assets.models.contract import ModelContract
        from tests.evaluation.studies import BrightnessModel

        self._model, self._last = BrightnessModel(ModelContract.load(folder)), last
        self.contract = self._model.contract
        self.batches = self.windows = 0

    def predict(self, pixels):
        if self.batches == self._last:
            os.kill(os.getpid(), signal.SIGKILL)
        self.batches, self.windows = self.batches + 1, self.windows + len(pixels)
        return self._model.predict(pixels)
