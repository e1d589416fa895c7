"""The parts of a self-contained page. Arguments are escaped, except those named `html`, `head` and `body`."""

import html as markup
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files

from agri_assets.evaluation.drawing import data_uri
from agri_assets.evaluation.intervals import Interval

UNDEFINED = "n/a"
"""Shown for a figure that is not defined, such as the AUC of one class."""

WIDE = 60
"""Characters of a fact from which it does not fit in a column."""

Cell = str | int | float | bool | None


def page(title: str, head: str, body: Iterable[str], style: str = "") -> str:
    """A whole HTML document with its style inside; `head` and `body` are HTML, `style` is what it has of its own."""
    style = files("agri_assets.evaluation").joinpath("page.css").read_text(encoding="utf-8") + style
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<header>\n{head}\n</header>\n<main>\n{''.join(body)}</main>\n</body>\n</html>\n"
    )


def escape(value: object) -> str:
    """Text for HTML, in content and in attributes; a figure and its per cent sign stay on one line."""
    return markup.escape(str(value), quote=True).replace(" %", "&nbsp;%")


def heading(title: str, lead: str, badge: str, good: bool, warnings: Sequence[str]) -> str:
    """The top of a page: what it is, how far the split can be trusted, what must be known before reading figures."""
    told = "".join(f"<li>{escape(warning[:1].upper() + warning[1:])}</li>" for warning in warnings)
    listed = f'<ul class="warnings" aria-label="Warnings">{told}</ul>' if told else ""
    kind = "badge good" if good else "badge"
    said = f'{escape(lead)} <span class="{kind}">{escape(badge)}</span>'
    return f'<h1>{escape(title)}</h1><p class="lead">{said}</p>{listed}'


def section(title: str, *html: str, note: str = "") -> str:
    """A titled section, with an optional note below the title; empty when it has no content."""
    content = "".join(html)
    if not content:
        return ""
    said = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{said}{content}</section>\n"


def card(name: str, value: float | None, interval: Interval | None) -> str:
    """One figure between 0 and 1, large, with its interval in words and as a bar."""
    said = UNDEFINED if value is None else f"{value:.3f}"
    if interval is None or value is None:
        return f'<div class="card"><dt>{escape(name)}</dt><dd><div class="value">{said}</div></dd></div>'
    low, high = interval
    bar = (
        '<svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        '<rect width="100" height="8" rx="1.5" fill="var(--track)"/>'
        f'<rect x="{low * 100:.2f}" width="{max(high - low, 0.01) * 100:.2f}" height="8" fill="var(--accent)"'
        ' opacity=".45"/>'
        f'<rect x="{min(value * 100, 99):.2f}" width="1" height="8" fill="var(--accent)"/></svg>'
    )
    return (
        f'<div class="card"><dt>{escape(name)}</dt><dd><div class="value">{said}</div>{bar}'
        f'<span class="note">{low:.3f} to {high:.3f}</span></dd></div>'
    )


def cards(html: Iterable[str]) -> str:
    """A grid of cards."""
    return f'<dl class="cards">{"".join(html)}</dl>'


def pictures(html: Iterable[str]) -> str:
    """A grid of pictures on light cards (they are drawn for white)."""
    return f'<div class="pictures">{"".join(html)}</div>'


def picture(png: bytes, alt: str, caption: str) -> str:
    """One picture, inside the page."""
    return f'<figure><img src="{data_uri(png)}" alt="{escape(alt)}"><figcaption>{escape(caption)}</figcaption></figure>'


def chip(png: bytes, alt: str, title: str, caption: str) -> str:
    """One small sample picture with a bold line and a caption."""
    said = f"<strong>{escape(title)}</strong><br>{escape(caption)}"
    return f'<figure><img src="{data_uri(png)}" alt="{escape(alt)}"><figcaption>{said}</figcaption></figure>'


def chips(html: Iterable[str]) -> str:
    """A contact sheet of chips."""
    return f'<div class="chips">{"".join(html)}</div>'


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]], best: int | None = None) -> str:
    """A table that scrolls by itself; column `best` is in bold, and what follows a line break in a cell is small."""
    if not rows:
        return ""
    kinds = [_kind([row[number] for row in rows], number, number == best) for number in range(len(columns))]
    head = "".join(f'<th scope="col"{kind}>{_cell(name)}</th>' for name, kind in zip(columns, kinds, strict=True))
    body = "".join(_row(row, kinds) for row in rows)
    return f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _kind(cells: Sequence[Cell], number: int, best: bool) -> str:
    """Attributes of a column: set to the right where it holds figures; the first one holds names."""
    names = ["number"] if number > 0 and all(map(_is_figure, cells)) else []
    names += ["best"] if best else []
    return f' class="{" ".join(names)}"' if names else ""


def _row(row: Sequence[Cell], kinds: Sequence[str]) -> str:
    rest = "".join(f"<td{kind}>{_cell(cell)}</td>" for cell, kind in zip(row[1:], kinds[1:], strict=True))
    return f'<tr><th scope="row">{_cell(row[0])}</th>{rest}</tr>'


def _cell(cell: Cell) -> str:
    """A cell's first line, and what follows a line break below it in small."""
    first, _, below = shown(cell).partition("\n")
    return f"{escape(first)}<br><small>{escape(below)}</small>" if below else escape(first)


def facts(values: Mapping[str, Cell]) -> str:
    """Names and values in columns; a long value has a line of its own."""
    rows = "".join(_fact(name.replace("_", " "), shown(value)) for name, value in values.items())
    return f'<dl class="facts">{rows}</dl>' if rows else ""


def _fact(name: str, value: str) -> str:
    kind = ' class="wide"' if len(value) > WIDE else ""
    return f"<div{kind}><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"


def in_cells(samples: int, cells: int) -> str:
    """How many ground cells samples lie in; nothing where each image is a cell of its own."""
    return f", in {cells:,} ground cells" if cells < samples else ""


def shown(value: Cell) -> str:
    """A value as people read it: thousands apart, four significant digits."""
    if value is None:
        return UNDEFINED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"
    return value


def _is_figure(value: Cell) -> bool:
    if isinstance(value, str):
        return value.lstrip("+-")[:1].isdigit() or value == UNDEFINED
    return not isinstance(value, bool)
