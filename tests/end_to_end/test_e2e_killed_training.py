"""A training whose processes are killed one by one: none outlives its parent, nothing is lost, nothing stays held."""

import shutil
import signal
import subprocess
import sys

import dagster as dg
import psutil
import pytest

from agri_assets.models.weights import WEIGHTS_FILE, load_weights
from agri_assets.training.run import train_model
from tests.end_to_end.conftest import Home
from tests.end_to_end.killed_training import (
    ASSET,
    MODEL,
    Dev,
    alive,
    at_work,
    checkpointed,
    collection_of,
    dagster_dev,
    environment_of,
    instance_of,
    nothing_held,
    paths_of,
    prepared_home,
    process_of_event,
    trainers,
    wait_for,
)
from tests.training.children import require_same

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Home:
    """A home with everything but the training; tests take a copy."""
    return prepared_home(tmp_path_factory.mktemp("prepared") / "home")


@pytest.fixture(scope="module")
def straight(prepared, tmp_path_factory):
    """Weights and history of a training that nobody interrupts."""
    home = Home(shutil.copytree(prepared.folder, tmp_path_factory.mktemp("straight") / "home"))
    home.run("python", "-m", "agri_assets.training", "--collection", "tiny", "--model", MODEL, OMP_NUM_THREADS="1")
    outcome = train_model(collection_of(home), paths_of(home), MODEL)
    assert outcome.reused
    return load_weights(outcome.path / WEIGHTS_FILE), outcome.tables["epochs"].rows


@pytest.fixture
def home(prepared, tmp_path) -> Home:
    return Home(shutil.copytree(prepared.folder, tmp_path / "home"))


def started(home: Home) -> psutil.Process:
    """The trainer, once it has left a checkpoint."""
    wait_for(lambda: trainers(home) and checkpointed(home), "a training at work")
    (trainer,) = trainers(home)
    return trainer


def require_whole(home: Home, straight) -> None:
    """The training went on where it was struck, and is the one that nobody struck; nothing is left or held."""
    outcome = train_model(collection_of(home), paths_of(home), MODEL)
    assert outcome.reused
    assert outcome.metadata["steps_resumed"] > 0
    require_same(outcome, straight)
    assert nothing_held(home)
    assert trainers(home) == []
    assert list(home.data.rglob(".staging-*")) == []
    with instance_of(home) as instance:
        assert instance.get_latest_materialization_event(ASSET) is not None
        assert instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])) == []


def test_a_killed_command_is_mended_by_the_doctor_and_resumed(home, straight):
    selected = f"key:tiny/{MODEL}"
    command = ["-m", "dagster", "asset", "materialize", "-m", "agri_assets.definitions", "--select", selected]
    with (home.folder / "run.log").open("w") as log:
        run = subprocess.Popen(
            [sys.executable, *command], cwd=home.folder, env=environment_of(home), stdout=log, stderr=log
        )
    trainer = started(home)
    run.send_signal(signal.SIGKILL)
    run.wait()
    wait_for(lambda: not alive(trainer), "the trainer's end")
    assert not nothing_held(home)
    told = home.run("agri-assets", "doctor").stdout
    assert f"(tiny/{MODEL}) is STARTED" in told
    assert "pool 'gpu'" in told
    assert nothing_held(home)
    home.materialize(selected, OMP_NUM_THREADS="1")
    require_whole(home, straight)
    told = home.run("agri-assets", "doctor").stdout
    assert f"tiny/{MODEL}" not in told
    assert "mended" not in told


def victim(dev: Dev, run_id: str, name: str) -> psutil.Process:
    """A process of `dagster dev` and of a run."""
    events = {"run worker": dg.DagsterEventType.RUN_START, "step": dg.DagsterEventType.STEP_START}
    if name in events:
        return process_of_event(dev.home, run_id, events[name])
    words = {
        "daemon": ["dagster._daemon"],
        "code server": ["code-server", "start"],
        "inner code server": ["api", "grpc"],
        "trainer": ["agri_assets.defs.launcher"],
    }
    (found,) = at_work(dev.home, *words[name])
    return found


@pytest.mark.soak
def test_a_killed_trainer_is_tried_again_and_resumes(home, straight):
    with dagster_dev(home) as dev:
        run_id = dev.launch()
        started(home).kill()
        assert dev.await_end(run_id) is dg.DagsterRunStatus.SUCCESS
    require_whole(home, straight)


@pytest.mark.soak
@pytest.mark.parametrize("name", ["run worker", "step", "daemon", "code server", "inner code server"])
def test_after_a_kill_and_a_restart_the_training_ends_as_if_nothing_had_been(home, straight, name):
    with dagster_dev(home) as dev:
        first = dev.launch()
        trainer = started(home)
        struck = victim(dev, first, name)
        struck.kill()
        wait_for(lambda: not alive(struck), f"the end of the {name}")
        if name in ("run worker", "step"):
            wait_for(lambda: not alive(trainer), "the trainer's end")
    # the rest of it was ended as by Ctrl-C
    wait_for(lambda: trainers(home) == [], "the end of all trainers")
    print(home.run("agri-assets", "doctor").stdout)
    assert nothing_held(home)
    with dagster_dev(home) as dev:
        print(f"{name}: the first run is {dev.state(first).status}")
        assert dev.state(first).is_finished
        assert dev.await_end(dev.launch()) is dg.DagsterRunStatus.SUCCESS
    require_whole(home, straight)
