"""Report and comparison in a real browser: they fit phone and desktop, by day and night, and complain of nothing."""

import pytest

from agri_assets.evaluation.comparison import compare_models
from agri_assets.evaluation.report import build_report
from tests.browser import chromium


@pytest.fixture
def pages(study):
    """The page of a report and that of the comparison."""
    for model, noise in (("resnet50", 0.3), ("cnn_vit_hybrid", 0.1)):
        study.train(model, noise=noise)
        report = build_report(study.collection, study.paths, model).path
    return report, compare_models(study.collection, study.paths).path


def test_pages_fit_every_screen_without_a_network(pages):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        for path in pages:
            shades = {
                scheme: [look(browser, path, width, scheme) for width in (390, 1280)] for scheme in ("light", "dark")
            }
            assert min(shades["light"]) > 200
            assert max(shades["dark"]) < 60
        browser.close()


def look(browser, path, width, scheme):
    """How bright the page is (0 to 255), once all else was found in order."""
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True, color_scheme=scheme)
    page, complaints = context.new_page(), []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(request.url[:80]))
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    context.close()
    assert complaints == []
    return sum(int(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]) / 3
