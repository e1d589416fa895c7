"""Ten thousand registered tiles: the catalogue, the sensor, and the asset page of the web UI in a real browser."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.dagster_home import Home, Platform
from benchmarks.made_tiles import BANDS, NAME

SENSOR = f"{NAME}_new_scenes"
VIEWS = {"overview": ("", "raw_scenes"), "partitions": ("?view=partitions", "Materialized ({tiles})")}
"""Views of the page: their address, and the text that is there once they show what they are for."""

TIMEOUT_MS = 180_000


@dataclass(frozen=True)
class Page:
    """One page, opened in a fresh browser.

    Attributes:
        view: Which.
        shown_s: Until what it is about stands on it.
        slowest_s: Of its GraphQL queries, from being sent to its answer's end.
        slowest: Its name.
        queries: How many there were.
    """

    view: str
    shown_s: float
    slowest_s: float
    slowest: str
    queries: int


@dataclass(frozen=True)
class Many:
    """What was measured.

    Attributes:
        first_s: The command that catalogues all tiles.
        again_s: The same with nothing new.
        ticks_s: Looks of the sensor in the daemon; the first one imports what it needs.
        server_gb: Largest process of the platform after them: the code server.
        pages: Views of the asset page of `tile_cube`.
    """

    first_s: float
    again_s: float
    ticks_s: tuple[float, ...]
    server_gb: float
    pages: tuple[Page, ...]


def many(work: Path, tiles: int, ticks: int) -> Many:
    """Make and catalogue so many tiles, all of them materialised as far as the instance knows, and look at them."""
    source = work / "many-source"
    labels = {"kind": "worldcover", "path": str(source)}
    read = {"source": {"kind": "geotiff", "path": str(source)}, "bands": list(BANDS), "labels": labels}
    home = Home.make(work / "many", {NAME: read})
    home.run("benchmarks.made_tiles", str(source), str(tiles))
    select = f"key:{NAME}/tile_catalog"
    (_, first), (_, again) = home.materialize(select), home.materialize(select)
    home.run("benchmarks.made_tiles", "known")
    with home.platform() as platform:
        platform.start_sensor(SENSOR)
        took = tuple(_tick(platform) for _ in range(ticks))
        server = platform.largest_gb
        pages = tuple(_page(platform, view, tiles) for view in VIEWS)
    return Many(first, again, took, server, pages)


def _tick(platform: Platform) -> float:
    tick = platform.tick_after(SENSOR, time.time())
    if tick.status != "SKIPPED" or "nothing to do" not in tick.said or tick.said.startswith("0 "):
        raise SystemExit(f"{SENSOR} should have looked at tiles and found nothing to do: {tick}")
    return tick.took_s


def _page(platform: Platform, view: str, tiles: int) -> Page:
    queries: dict[str, float] = {}
    address, text = VIEWS[view]
    with _browser_page() as page:
        page.on("requestfinished", lambda request: _note(request, queries))
        started = time.perf_counter()
        page.goto(f"{platform.address}/assets/{NAME}/tile_cube{address}")
        page.get_by_text(text.format(tiles=tiles)).first.wait_for(timeout=TIMEOUT_MS)
        shown = time.perf_counter() - started
        page.wait_for_load_state("networkidle")
    slowest = max(queries, key=lambda name: queries[name])
    return Page(view, shown, queries[slowest], slowest, len(queries))


def _note(request: Any, queries: dict[str, float]) -> None:
    """Keep how long a GraphQL query took, the longest of each name."""
    if "/graphql" not in request.url or request.method != "POST":
        return
    name, took = request.post_data_json["operationName"], request.timing["responseEnd"] / 1000
    queries[name] = max(took, queries.get(name, 0.0))


@contextmanager
def _browser_page() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        raise SystemExit("no Chromium on this machine (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser.new_page(viewport={"width": 1600, "height": 1000})
        finally:
            browser.close()
