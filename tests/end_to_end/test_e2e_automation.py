"""The platform in a real browser against `dagster dev`: by hand, then by itself, as the documentation tells it."""

import shutil
import time
from datetime import timedelta

import pytest
from dagster._core.scheduler.instigation import ScheduleInstigatorData, TickStatus

from agri_assets.samples.writer import write_samples
from tests.end_to_end.conftest import make_home
from tests.end_to_end.running import Platform, browser_page, keep_picture

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3600)]

TILE, OTHER = "31TCJ", "31TDJ"
INGESTED = "land_cover raw_scenes tile_cube"
SENSORS = ("sentinel2_new_scenes", "default_automation_condition_sensor")

COLLECTIONS = """
collections:
  sentinel2:
    source: {{kind: safe, path: {inbox}}}
    bands: [B02, B03, B04, B08]
    tile_size: 32
    labels: {{kind: worldcover, path: {land_cover}}}
    split: {{resolution: 7}}
    recipe: {{epochs: 1, workers: 0}}
    models:
      cnn_vit_hybrid: {{options: {{trunk: mobilenetv3_small_050, width: 16, depth: 1}}}}
    evaluation: {{champion_minimum: 0.0, champion_ece: 1.0, bootstrap: 100}}
"""

ASSETS = (
    "tile_catalog", "raw_scenes", "land_cover", "tile_cube", "splits", "cnn_vit_hybrid", "model_comparison", "bundle",
    "land_map",
)  # fmt: skip


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    write_samples(folder, [TILE, OTHER], dates=2, size=768, cloudy_dates=0, damaged=0)
    return folder


@pytest.fixture(scope="module")
def coming(samples):
    """The product that is not there yet."""
    return max(samples.glob(f"*T{TILE}*.SAFE"))


@pytest.fixture(scope="module")
def inbox(samples, coming, tmp_path_factory):
    folder = tmp_path_factory.mktemp("inbox")
    for product in samples.glob("*.SAFE"):
        if product != coming:
            shutil.copytree(product, folder / product.name)
    return folder


@pytest.fixture(scope="module")
def platform(samples, inbox, tmp_path_factory):
    """`dagster dev` over a catalogue of two tiles, of which one is ingested."""
    collections = COLLECTIONS.format(inbox=inbox, land_cover=samples / "land_cover")
    home = make_home(tmp_path_factory.mktemp("automation") / "home", collections)
    home.materialize("key:sentinel2/tile_catalog")
    home.materialize(
        "key:sentinel2/raw_scenes or key:sentinel2/land_cover or key:sentinel2/tile_cube", "--partition", OTHER
    )
    made = Platform(home)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def page(platform):
    with browser_page() as made:
        yield made


def open_graph(page, platform):
    page.goto(f"{platform.address}/locations/agri_assets/asset-groups/sentinel2")
    for name in ASSETS:
        page.get_by_text(name, exact=True).first.wait_for()


@pytest.fixture(scope="module")
def by_hand(page, platform):
    """All runs, once a tile was materialised from the graph."""
    open_graph(page, platform)
    for name in INGESTED.split():
        page.get_by_text(name, exact=True).first.click(modifiers=["Shift"])
    page.get_by_role("button", name="Materialize selected (3)").click()
    page.get_by_text("Select a partition or create one").click()
    page.get_by_text(TILE, exact=True).locator("visible=true").last.click()
    keep_picture(page, "choose-tile")
    page.keyboard.press("Escape")
    before = len(platform.runs())
    page.get_by_role("button", name="Launch 1 run").click()
    platform.wait("the run", lambda: len(platform.runs()) > before)
    page.goto(f"{platform.address}/runs/{platform.newest_run()}")
    page.get_by_text("Success", exact=True).first.wait_for()
    keep_picture(page, "run", 900)
    return platform.finished(3)


def test_one_tile_is_materialised_from_the_graph(by_hand):
    assert by_hand[2:] == [(INGESTED, TILE, "SUCCESS")]


def test_the_tile_has_a_page_with_its_pictures_and_tables(page, platform, by_hand):
    page.goto(f"{platform.address}/assets/sentinel2/tile_cube?view=partitions&partition={TILE}")
    page.get_by_text("S2A_31TCJ_20230611_0_L2A").first.wait_for()
    page.get_by_text("[Show Markdown]").first.click()
    page.locator("img[src^='data:image/png']").first.wait_for()
    keep_picture(page, "picture")


def test_checks_stand_beside_their_asset(page, platform, by_hand):
    page.goto(f"{platform.address}/assets/sentinel2/tile_cube?view=checks")
    for text in ("checksums", "every_scene_built", "Succeeded"):
        page.get_by_text(text, exact=True).first.wait_for()
    keep_picture(page, "checks")


def turn_on(page, platform, *names):
    """Switch sensors or schedules on, on the page of each."""
    for name in names:
        page.goto(f"{platform.address}/automation")
        # a row is what holds two boxes: one chooses it, the other is the switch
        row = page.get_by_text(name, exact=True).locator("xpath=ancestor::*[count(.//input)=2][1]")
        row.locator("label").last.click()
        platform.wait(f"{name} to be on", lambda name=name: (state := platform.state(name)) and state.is_running)


def looked(platform, name):
    """Wait for a whole tick from now on, and say what it did."""
    now = time.time()
    return platform.wait(f"a tick of {name}", lambda: platform.ticks(name, now))[-1]


@pytest.fixture(scope="module")
def turned_on(page, platform, by_hand):
    """All runs, once both sensors are on and have nothing more to do."""
    turn_on(page, platform, *SENSORS)
    runs = platform.finished(len(by_hand) + 1)
    for name in SENSORS:
        looked(platform, name)
    return platform.finished(len(runs))


def test_splits_are_made_of_what_is_there_when_the_sensors_are_turned_on(by_hand, turned_on):
    assert turned_on[len(by_hand) :] == [("splits", "", "SUCCESS")]


@pytest.fixture(scope="module")
def dropped(platform, turned_on, inbox, coming):
    """All runs, once a product came into the inbox by a slow copy."""
    shutil.copytree(coming, inbox / coming.name, ignore=shutil.ignore_patterns("*B0*", "*B8A*"))
    assert "1 of them changed" in looked(platform, SENSORS[0]).tick_data.skip_reason
    shutil.copytree(coming, inbox / coming.name, dirs_exist_ok=True)
    runs = platform.finished(len(turned_on) + 2)
    for name in SENSORS:
        looked(platform, name)
    assert platform.finished(len(runs)) == runs
    return runs


def test_a_new_product_updates_its_tile_then_the_splits_and_trains_nothing(page, platform, turned_on, dropped):
    assert dropped[len(turned_on) :] == [(INGESTED, TILE, "SUCCESS"), ("splits", "", "SUCCESS")]
    expected = {"tile_catalog": 1, "raw_scenes": 3, "land_cover": 3, "tile_cube": 3, "splits": 2}
    assert {name: count for name, count in platform.materialized().items() if count} == expected
    page.goto(f"{platform.address}/automation")
    page.get_by_text("sentinel2_weekly_training", exact=True).first.wait_for()
    keep_picture(page, "automation", 480)
    open_graph(page, platform)
    keep_picture(page, "graph", 640)


def test_the_same_pixels_again_wake_nothing(page, platform, dropped):
    page.goto(f"{platform.address}/assets/sentinel2/tile_cube?view=partitions&partition={TILE}")
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_role("button", name="Launch 1 run").click()
    runs = platform.finished(len(dropped) + 1)
    looked(platform, SENSORS[1])
    assert platform.finished(len(runs)) == runs
    assert runs[len(dropped) :] == [("tile_cube", TILE, "SUCCESS")]


SCHEDULE = "sentinel2_weekly_training"


@pytest.fixture(scope="module")
def week_later(page, platform, dropped):
    """How many runs there were when the platform was started again, with the tick of last Sunday still due."""
    turn_on(page, platform, SCHEDULE)
    before = len(platform.runs())
    platform.stop()
    # as if it had been turned on eight days ago and stopped on Saturday
    state = platform.state(SCHEDULE)
    past = state.instigator_data.start_timestamp - timedelta(days=8).total_seconds()
    with platform.instance as instance:
        instance.update_instigator_state(
            state.with_data(ScheduleInstigatorData(state.instigator_data.cron_schedule, past))
        )
    platform.start()
    return before


def test_the_weekly_tick_trains_reports_and_compares(page, platform, week_later):
    runs = platform.finished(week_later + 1)
    assert runs[week_later:] == [("sentinel2_training", "", "SUCCESS")]
    made = platform.materialized()
    assert [made.get(name, 0) for name in ASSETS[5:]] == [1, 1, 1, 0]
    page.goto(f"{platform.address}/assets/sentinel2/cnn_vit_hybrid_report")
    page.get_by_text("[Show Markdown]").first.click()
    page.locator("img[src^='data:image/png']").first.wait_for()
    keep_picture(page, "report", 1000)
    (tick,) = platform.ticks(SCHEDULE, after=0.0)
    assert tick.status == TickStatus.SUCCESS
    assert tick.run_ids == [platform.newest_run()]
