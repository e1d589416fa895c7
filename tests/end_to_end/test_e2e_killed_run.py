"""A run that is killed outright takes its steps with it."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

pytestmark = pytest.mark.e2e

SELECTED = "key:sample/tile_catalog"


def test_no_step_outlives_a_killed_run(home):
    command = ["-m", "dagster", "asset", "materialize", "-m", "agri_assets.definitions", "--select", SELECTED]
    log = home.folder / "run.log"
    with log.open("w") as out:
        run = subprocess.Popen(
            [sys.executable, *command], cwd=home.folder, env=home.environment, stdout=out, stderr=subprocess.STDOUT
        )
    deadline = time.monotonic() + 120
    # the first of five sample scenes; the others take seconds
    while " - wrote " not in log.read_text() and time.monotonic() < deadline:
        assert run.poll() is None, log.read_text()
        time.sleep(0.2)
    family = psutil.Process(run.pid).children(recursive=True)
    assert len(family) > 1
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert psutil.wait_procs(family, timeout=30)[1] == []
    assert len(list((home.data / "sample" / "inbox").glob("*.SAFE"))) < 5
