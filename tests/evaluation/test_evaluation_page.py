"""Nothing that was written elsewhere reaches a page as markup."""

import numpy as np
import pytest

from agri_assets.evaluation import page
from agri_assets.evaluation.chips import Chip

EVIL = "<script>alert(1)</script>\"'&"


@pytest.mark.parametrize(
    "html",
    [
        page.heading(EVIL, EVIL, EVIL, True, [EVIL]),
        page.section(EVIL, "x", note=EVIL),
        page.card(EVIL, 0.5, (0.4, 0.6)),
        page.picture(b"png", EVIL, EVIL),
        page.chip(b"png", EVIL, EVIL, EVIL),
        page.table((EVIL, "b"), [(EVIL, f"{EVIL}\n{EVIL}")]),
        page.facts({EVIL: EVIL}),
        page.page(EVIL, "", ()),
    ],
)
def test_text_is_escaped(html):
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert 'alert(1)</script>"' not in html


def test_values_are_shown_for_people():
    assert [page.shown(value) for value in (None, True, 12345, 0.123456, 12345.678, "x")] == [
        "n/a",
        "yes",
        "12,345",
        "0.1235",
        "12,345.7",
        "x",
    ]


def test_figures_stand_to_the_right_and_the_best_column_is_marked():
    text = page.table(("model", "a", "b", "c"), [("x", "+0.1", "yes", 1), ("y", "-0.2 to 0.1", "-", None)], 3)
    assert [part.split(">")[0] for part in text.split('<th scope="col"')[1:]] == [
        "",
        ' class="number"',
        "",
        ' class="number best"',
    ]


def test_a_long_fact_has_a_line_of_its_own():
    assert page.facts({"a": "x" * 80, "b": "x"}).count('class="wide"') == 1


def test_a_section_without_content_is_left_out():
    assert page.section("Empty") == ""
    assert page.table(("a",), []) == ""


def test_an_undefined_figure_has_no_bar():
    assert "svg" not in page.card("recall", None, None)
    assert "n/a" in page.card("recall", None, None)


def test_a_chip_says_what_was_mistaken_for_what():
    picture = np.zeros((8, 8, 3), np.uint8)
    assert Chip(picture, "a", 1, 0.1, "Pasture").title == "Pasture, called not agricultural"
    assert Chip(picture, "a", 0, 0.9, None).title == "not agricultural, called agricultural"
