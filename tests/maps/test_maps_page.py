"""The page of a map asks for no other file, stays small, and tells in a browser what the map holds at each place."""

import re

import numpy as np
import pytest
from pyproj import Geod, Transformer

from agri_assets.maps.degrees import Degrees
from agri_assets.maps.land_map import build_map
from agri_assets.maps.page import MapContent, map_page
from agri_assets.maps.raster import classify
from agri_assets.maps.told import MADE
from agri_assets.scenes.grid import TileGrid
from tests.browser import chromium

DATES = ("2023-06-01", "2023-08-15")


def grid(crs="EPSG:32631", left=300_000, top=4_900_020, pixels=10_980):
    return TileGrid(crs=crs, transform=(10, 0, left, 0, -10, top), height=pixels, width=pixels)


def content(positions=20, overlap=4, **changed):
    """A map that grows more agricultural from left to right, and of which the upper left position is not mapped."""
    edge = positions * overlap
    probability = np.tile(np.linspace(0, 1, edge), (edge, 1))
    probability[:overlap, :overlap] = np.nan
    classes, percent = classify(probability, 0.5)
    day = np.tile(np.arange(positions, dtype=np.int32) % 2, (positions, 1))
    day[0, 0] = -1
    image = np.random.default_rng(0).integers(0, 255, (positions * 8, positions * 8, 3), dtype=np.uint8)
    pixels = positions * 64
    shown = {
        **{"tile": "31TCJ", "model": "cnn_vit_hybrid", "span": "2023", "threshold": 0.5, "proof": "proved"},
        **{"image": image, "classes": classes, "percent": percent, "positions": (positions, positions), "day": day},
        **{"dates": DATES, "degrees": Degrees.over(grid(), pixels, pixels), "width_m": pixels * 10.0},
        **{"cards": {"Mapped": ("12 km²", "of all")}, "facts": {"collection": "made"}},
    }
    return MapContent(**{**shown, **changed})


def test_a_page_names_no_other_file_and_escapes_what_it_is_told():
    page = map_page(content(model="</script><b>", warnings=("mind <this>",), dates=("</script>", "2023-08-15")))
    assert re.findall(r"""(?:src|href)=["'](?!data:)[^"']*""", page) == []
    assert "http" not in page
    assert "url(" not in page
    assert page.count("</script>") == 2
    assert "<b>" not in page
    assert "Mind &lt;this&gt;" in page


def test_the_page_of_a_whole_tile_is_small():
    y, x = np.mgrid[:684, :684]
    wavy = 0.5 + 0.5 * np.sin(x / 30) * np.cos(y / 20 + x / 90)
    wavy += np.random.default_rng(0).normal(0, 0.02, wavy.shape)
    classes, percent = classify(np.clip(wavy, 0, 1), 0.5)
    image = np.random.default_rng(1).integers(60, 100, (1368, 1368, 3), dtype=np.uint8)
    size = len(map_page(content(171, image=image, classes=classes, percent=percent)))
    assert size < 4_000_000


@pytest.mark.parametrize(
    ("crs", "left", "top"),
    [("EPSG:32631", 300_000, 4_900_020), ("EPSG:32660", 760_000, 7_900_020), ("EPSG:32719", 600_000, 5_000_020)],
)
def test_degrees_are_those_of_the_grid(crs, left, top):
    place = grid(crs, left, top)
    degrees, far = Degrees.over(place, 10_944, 10_944), Geod(ellps="WGS84")
    to = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    for across, down in np.random.default_rng(0).uniform(-1, 1, (40, 2)).tolist():
        wanted = to.transform(left + 109_440 * (across + 1) / 2, top - 109_440 * (down + 1) / 2)
        assert far.inv(*degrees.at(across, down), *wanted)[2] < 1


def test_a_map_comes_with_its_page(study):
    outcome = build_map(study.collection, study.paths, "31TCJ")
    page = (study.paths.map("31TCJ").with_suffix(".html")).read_text()
    assert "resnet50" in page
    assert "2023-06-01 to 2023-08-15" in page
    assert f"{outcome.metadata['agricultural_km2']:.4g} km²" in page


@pytest.mark.parametrize("kind", ["sample", "safe"])
def test_the_page_says_whether_its_landscape_is_made(study, kind):
    source = study.collection.source.model_copy(update={"kind": kind})
    build_map(study.collection.model_copy(update={"source": source}), study.paths, "31TCJ")
    page = (study.paths.map("31TCJ").with_suffix(".html")).read_text()
    assert (MADE in page) == (kind == "sample")


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield started
        started.close()


def opened(browser, path, width):
    """The page as a browser without a network shows it, and what it complains of."""
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
    page, complaints = context.new_page(), []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("request", lambda request: complaints.extend([request.url] * request.url.startswith("http")))
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready=true]", state="attached", timeout=60_000)
    return page, complaints


def told(page, x, y):
    """The readout with the pointer at a place of the map (shares of its width and height)."""
    box = page.locator("#view").bounding_box()
    page.mouse.move(box["x"] + 1 + x * (box["width"] - 2), box["y"] + 1 + y * (box["height"] - 2))
    return page.inner_text("#readout").splitlines()


@pytest.mark.parametrize("width", [390, 1280])
def test_in_a_browser_the_map_tells_what_it_holds(browser, tmp_path, width):
    shown = content()
    path = tmp_path / "map.html"
    path.write_text(map_page(shown))
    page, complaints = opened(browser, path, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for x, y in ((0.31, 0.52), (0.93, 0.07)):
        name, probability, place, date = told(page, x, y)
        assert name == ("agricultural" if x > 0.5 else "not agricultural")
        assert probability == f"probability {shown.percent[int(y * 80), int(x * 80)]} %"
        assert date == f"seen on {DATES[int(x * 20) % 2]}"
        latitude, longitude = (float(value) for value in re.findall(r"[\d.]+(?=°)", place))
        wanted = shown.degrees.at(2 * x - 1, 2 * y - 1)
        # half a pixel of the screen is 16 m
        assert (longitude, latitude) == pytest.approx(wanted, abs=5e-4)
    assert told(page, 0.01, 0.01)[::2] == ["not mapped", "no clear date"]
    assert complaints == []
    page.context.close()


def test_in_a_browser_the_keyboard_moves_zooms_and_chooses(browser, tmp_path):
    path = tmp_path / "map.html"
    path.write_text(map_page(content()))
    page, complaints = opened(browser, path, 1280)
    assert page.inner_text("#bar") == "2 km"
    page.focus("#view")
    for key in ("+", "+", "+", "ArrowRight"):
        page.keyboard.press(key)
    assert page.inner_text("#bar") == "1 km"
    across = 0.5 + 0.05 / 1.5**3
    assert page.inner_text("#readout").splitlines()[1] == f"probability {content().percent[0, int(across * 80)]} %"
    page.keyboard.press("0")
    assert page.inner_text("#bar") == "2 km"
    assert page.is_visible("img[data-layer=class]")
    page.check("input[value=probability]")
    assert page.is_visible("img[data-layer=probability]")
    assert page.is_visible(".ramp")
    assert not page.is_visible("img[data-layer=class]")
    page.check("input[value=colour]")
    assert page.is_disabled("#opacity")
    assert page.locator(".overlay:visible").count() == 0
    page.check("input[value=class]")
    page.focus("#opacity")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#opacity-value") == "65 %"
    assert page.evaluate("getComputedStyle(document.querySelector('.overlay')).opacity") == "0.65"
    assert complaints == []
    page.context.close()
