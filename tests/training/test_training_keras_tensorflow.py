"""The tests of Keras once more, on its tensorflow backend: a process knows only one."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

FILES = [
    "training/test_training_keras.py",
    "training/test_training_keras_step.py",
    "loading/test_loading_keras.py",
]


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="the extra `tensorflow` is for Linux")
@pytest.mark.parametrize(
    ("marker", "names"),
    [
        # a killed process imports tensorflow once more, for many seconds
        ("not soak", "not killed"),
        pytest.param("soak", "", marks=pytest.mark.soak),
        pytest.param("not soak", "killed", marks=pytest.mark.soak),
    ],
)
def test_all_holds_on_the_tensorflow_backend(marker, names):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", marker, "-k", names, *(str(TESTS / name) for name in FILES)],
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) >= (1 if names == "killed" else 8)
