"""Starts a training as a process of its own through Dagster Pipes and reads what it leaves."""

import os
import sys
import tempfile
from pathlib import Path

import dagster as dg

from agri_assets.defs.resources import Devices, Store
from agri_assets.defs.stages import one_line_failures, refusal
from agri_assets.errors import AgriAssetsError
from agri_assets.store.receipt import Outcome, read_outcome
from agri_assets.training.recipe import ModelName


def launch_training(
    context: dg.AssetExecutionContext,
    store: Store,
    devices: Devices,
    pipes: dg.PipesSubprocessClient,
    collection: str,
    model: ModelName,
) -> Outcome:
    """Train, unless it is done, in a child that ends with this process, as this one does with its run.

    The outcome of the child comes back in a file.

    Raises:
        dagster.Failure: The trainer refused (no retry) or crashed (retried, resuming).
    """
    from agri_assets.training.done import find_trained

    with one_line_failures():
        if done := find_trained(store.collection(collection), store.paths(collection), model):
            return done
    with tempfile.TemporaryDirectory(prefix="agri-training-") as folder:
        result, refused = Path(folder) / "result.json", Path(folder) / "refusal.txt"
        command = [sys.executable, "-m", "agri_assets.defs.launcher", "--collection", collection, "--model", model]
        command += ["--result", str(result), "--refusal", str(refused)]
        env = {
            "AGRI_PARENT_PID": str(os.getpid()),
            "AGRI_DATA_ROOT": str(store.paths(collection).root),
            "PYTHONUNBUFFERED": "1",
            **devices.environment(),
        }
        if store.collections_file:
            env["AGRI_COLLECTIONS"] = store.collections_file
        try:
            pipes.run(command=command, context=context.op_execution_context, env=env)
            return read_outcome(result)
        except AgriAssetsError as error:
            raise dg.Failure(f"{collection}/{model}: the trainer ended without a result: {error}") from None
        except Exception as error:
            if refused.exists():
                raise refusal(refused.read_text(encoding="utf-8")) from None
            raise dg.Failure(f"{collection}/{model}: the trainer crashed and is tried again: {error}") from error
