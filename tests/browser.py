"""The browser that pages are looked at with."""

import os
import shutil

import pytest


def chromium() -> str:
    """The program; where there is none tests skip, except in CI."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is missing in CI; .ci/run installs it")
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    return found
