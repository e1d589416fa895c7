"""`dagster dev` in a real browser: the graph, its assets, partitions, checks and pictures are there."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e


def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is missing in CI; .ci/run installs it")
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    return found


@pytest.fixture(scope="module")
def web_ui(finished_home) -> Iterator[str]:
    """The address of `dagster dev` over the finished home."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("dagster")), "dev", "-m", "agri_assets.definitions", "-p", str(port)]
    log = (finished_home.folder / "dev.log").open("w")
    process = subprocess.Popen(
        command, cwd=finished_home.folder, env=finished_home.environment, stdout=log, stderr=log, start_new_session=True
    )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until_up(address, process)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()


def wait_until_up(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, "dagster dev ended"
        try:
            with urllib.request.urlopen(f"{address}/server_info", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.5)
    pytest.fail("dagster dev did not come up within two minutes")


@pytest.fixture(scope="module")
def page(web_ui):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1600, "height": 1000})
        browser.close()


def test_every_asset_stands_in_the_catalogue(page, web_ui):
    page.goto(f"{web_ui}/assets")
    page.get_by_text("sample", exact=True).first.wait_for(timeout=60_000)
    page.goto(f"{web_ui}/asset-groups")
    page.wait_for_load_state("networkidle")
    page.screenshot(path=os.environ.get("AGRI_SCREENSHOTS", "/tmp") + "/graph.png")


def test_asset_page_shows_pictures_and_checks(page, web_ui):
    page.goto(f"{web_ui}/assets/sample/splits")
    page.locator("img[src^='data:image/png']").first.wait_for(timeout=60_000)
    page.goto(f"{web_ui}/assets/sample/splits?view=checks")
    page.get_by_text("disjoint_on_the_ground").first.wait_for(timeout=60_000)


def test_tiles_stand_as_partitions(page, web_ui):
    page.goto(f"{web_ui}/assets/sample/tile_cube?view=partitions")
    for tile in ("31TCJ", "31TDJ"):
        page.get_by_text(tile).first.wait_for(timeout=60_000)
