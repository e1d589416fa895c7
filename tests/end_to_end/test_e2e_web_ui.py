"""`dagster dev` in a real browser: the graph, its assets, partitions, checks and pictures are there."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import chromium

pytestmark = pytest.mark.e2e


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


ASSETS = (
    "tile_catalog", "raw_scenes", "land_cover", "tile_cube", "splits", "resnet50", "efficientnet_b3", "cnn_vit_hybrid",
    "resnet50_report", "model_comparison", "bundle", "land_map",
)  # fmt: skip


def test_the_graph_shows_every_asset(page, web_ui):
    page.goto(f"{web_ui}/locations/agri_assets.definitions/asset-groups/sample")
    for name in ASSETS:
        page.get_by_text(name, exact=True).first.wait_for(timeout=60_000)


def test_asset_page_shows_its_picture(page, web_ui):
    page.goto(f"{web_ui}/assets/sample/splits")
    page.get_by_text("[Show Markdown]").first.click(timeout=60_000)
    page.locator("img[src^='data:image/png']").first.wait_for(timeout=60_000)


def test_checks_stand_beside_their_asset(page, web_ui):
    page.goto(f"{web_ui}/assets/sample/splits?view=checks")
    page.get_by_text("disjoint_on_the_ground").first.wait_for(timeout=60_000)


def test_tiles_stand_as_partitions(page, web_ui):
    page.goto(f"{web_ui}/assets/sample/tile_cube?view=partitions")
    for tile in ("31TCJ", "31TDJ"):
        page.get_by_text(tile).first.wait_for(timeout=60_000)
