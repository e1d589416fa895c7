"""The map as one self-contained page: classes or probabilities over the true colours, to move about in, offline."""

import base64
import io
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image

from agri_assets.evaluation import page
from agri_assets.evaluation.report_page import PROOFS
from agri_assets.maps.degrees import TERMS, Degrees
from agri_assets.maps.quicklook import length_text, round_length
from agri_assets.maps.raster import AGRICULTURAL, COLOURS, NODATA, OTHER, Bytes

NAMES = {AGRICULTURAL: "agricultural", OTHER: "not agricultural", NODATA: "not mapped"}
LAYERS = {"colour": "True colour", "class": "Classes", "probability": "Probability"}
FIRST = "class"
"""The layer that is shown first."""

RAMP = "cividis"
"""Even in brightness, and the same to people with and without colour-blindness (Nunez et al. 2018)."""

QUALITY = 82
"""Of the JPEG of true colours: half a megabyte for a whole Sentinel-2 tile."""

OPACITY = 60
"""Of classes and probabilities at first, in percent."""

NO_DATE = 0xFFFF


@dataclass(frozen=True)
class MapContent:
    """Everything a map page shows.

    Attributes:
        tile: The tile.
        model: The model.
        span: The dates, as a title says them.
        threshold: Probability from which ground is called agricultural.
        image: True colours of the whole positions, (height, width, 3).
        classes: (rows, columns) of squares.
        percent: The same of probabilities.
        positions: Rows and columns of positions.
        day: (rows, columns) of positions: the number of the date that each is mapped by, in `dates`; -1 for none.
        dates: The dates.
        degrees: Longitude and latitude over the picture.
        width_m: Width of the ground, in metres.
        cards: Figures with their notes, by name: value and note.
        facts: Names and values of provenance.
        proof: How far the split of its model can be trusted.
        warnings: What must be known before using the map.
    """

    tile: str
    model: str
    span: str
    threshold: float
    image: Bytes
    classes: Bytes
    percent: Bytes
    positions: tuple[int, int]
    day: npt.NDArray[np.int32]
    dates: Sequence[str]
    degrees: Degrees
    width_m: float
    cards: Mapping[str, tuple[str, str]]
    facts: Mapping[str, page.Cell]
    proof: str
    warnings: tuple[str, ...] = ()


def map_page(content: MapContent) -> str:
    """The page as one HTML document that asks for no other file."""
    title = f"Agricultural land in {content.tile}"
    said = f"Predicted by {content.model} from {content.span or 'no date'}, threshold {content.threshold:.3f}."
    head = page.heading(title, said, PROOFS[content.proof], content.proof == "proved", content.warnings)
    note = (
        "Drag to move, scroll or pinch to zoom. By keyboard: arrows move, + and - zoom, 0 shows all; the readout then "
        "tells the middle of the map."
    )
    height, width = content.image.shape[:2]
    body = (
        f'<div class="map" style="--ratio: {width / height:.5f}">',
        f'<div>{_view(content)}<p class="note hint">{page.escape(note)}</p></div>',
        f"{_panel(content)}</div>",
        page.section("Area", _cards(content)),
        page.section("Provenance", page.facts(content.facts)),
        f'<script type="application/json" id="map-data">{_data(content)}</script>',
        f"<script>\n{_asset('map.js')}</script>",
    )
    return page.page(title, head, body, style=_asset("map.css"))


def _view(content: MapContent) -> str:
    shares = ", ".join(f"{name} {share}" for name, share in _shares(content).items())
    layers = "".join(
        f'<img class="overlay" data-layer="{name}" src="{uri}" alt=""{"" if name == FIRST else " hidden"}>'
        for name, uri in {"class": _class_uri(content), "probability": _probability_uri(content)}.items()
    )
    metres = round_length(content.width_m * 0.3)
    buttons = {"nearer": ("+", "Zoom in"), "farther": ("\u2212", "Zoom out"), "whole": ("⤢", "Show all")}
    drawn = "".join(
        f'<button type="button" id="{name}" aria-label="{said}" title="{said}">{sign}</button>'
        for name, (sign, said) in buttons.items()
    )
    return (
        f'<div class="view" id="view" tabindex="0" role="group" aria-label="Map, {page.escape(shares)}">'
        f'<div class="ground" id="ground" style="--opacity: {OPACITY / 100}">'
        f'<img src="{_jpeg_uri(content.image)}" alt="True-colour picture of {page.escape(content.tile)}">{layers}'
        f'<div class="mark" id="mark" hidden></div></div><div class="bar" id="bar" '
        f'style="width: {100 * metres / content.width_m:.3f}%">{length_text(metres)}</div>'
        f'<div class="zoom">{drawn}</div></div>'
    )


def _panel(content: MapContent) -> str:
    choices = "".join(
        f'<label><input type="radio" name="layer" value="{name}"{" checked" if name == FIRST else ""}>{said}</label>'
        for name, said in LAYERS.items()
    )
    slider = (
        f'<label>Opacity <input type="range" id="opacity" min="0" max="100" step="5" value="{OPACITY}">'
        f'<output id="opacity-value" for="opacity">{OPACITY} %</output></label>'
    )
    return (
        f'<div class="panel"><fieldset class="controls"><legend>Layer</legend>{choices}{slider}</fieldset>'
        f'<div class="box"><h2>Legend</h2>{_key(content)}{_ramp(content)}</div>'
        '<div class="box readout-box"><h2>Here</h2><p class="readout" id="readout" aria-live="polite">'
        "Point at the map.</p></div></div>"
    )


def _shares(content: MapContent) -> dict[str, str]:
    return {name: f"{(content.classes == value).mean():.1%}" for value, name in NAMES.items()}


def _key(content: MapContent) -> str:
    shares = _shares(content)
    rows = "".join(
        f'<li><span class="swatch" style="background: {_css(COLOURS[value])}"></span>{name}'
        f'<span class="share">{shares[name]}</span></li>'
        for value, name in NAMES.items()
    )
    return f'<ul class="key" data-layer="class">{rows}</ul>'


def _ramp(content: MapContent) -> str:
    stops = ", ".join(_css(tuple(colour)) for colour in _ramp_colours()[::10].tolist())
    return (
        '<div data-layer="probability" hidden>'
        f'<div class="ramp" style="background: linear-gradient(to right, {stops})">'
        f'<i style="left: {content.threshold * 100:.1f}%"></i></div><div class="ends"><span>0 %</span>'
        f"<span>agricultural from {content.threshold:.1%}</span><span>100 %</span></div></div>"
    )


def _cards(content: MapContent) -> str:
    return page.cards(
        f'<div class="card"><dt>{page.escape(name)}</dt><dd><div class="value">{page.escape(value)}</div>'
        f'<span class="note">{page.escape(note)}</span></dd></div>'
        for name, (value, note) in content.cards.items()
    )


def _data(content: MapContent) -> str:
    """What the script needs, as JSON that cannot end its element."""
    day = np.where(content.day < 0, NO_DATE, content.day).astype("<u2")
    values = zlib.compress(content.percent.tobytes() + content.classes.tobytes() + day.tobytes(), 9)
    told: dict[str, Any] = {
        "squares": content.classes.shape,
        "positions": content.positions,
        "names": NAMES,
        "dates": list(content.dates),
        "metres": content.width_m,
        "terms": TERMS,
        "longitude": content.degrees.longitude,
        "latitude": content.degrees.latitude,
        "values": base64.b64encode(values).decode(),
    }
    return json.dumps(told).replace("<", "\\u003c")


def _class_uri(content: MapContent) -> str:
    palette = np.zeros((256, 4), dtype=np.uint8)
    for value, colour in COLOURS.items():
        palette[value] = colour
    return _palette_uri(content.classes, palette)


def _probability_uri(content: MapContent) -> str:
    palette = np.zeros((256, 4), dtype=np.uint8)
    palette[:101] = _ramp_colours()
    return _palette_uri(content.percent, palette)


def _ramp_colours() -> Bytes:
    """RGBA by percent, (101, 4)."""
    return np.asarray(matplotlib.colormaps[RAMP](np.linspace(0, 1, 101), bytes=True), dtype=np.uint8)


def _palette_uri(values: Bytes, palette: Bytes) -> str:
    """Values as a PNG of few colours, with transparency."""
    image, buffer = Image.fromarray(values), io.BytesIO()
    image.putpalette(palette[:, :3].tobytes())
    image.save(buffer, format="png", optimize=True, transparency=palette[:, 3].tobytes())
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _jpeg_uri(image: Bytes) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="jpeg", quality=QUALITY, optimize=True, progressive=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _css(colour: Sequence[int]) -> str:
    red, green, blue, alpha = colour
    return f"rgb({red} {green} {blue} / {alpha / 255:g})"


def _asset(name: str) -> str:
    return files("agri_assets.maps").joinpath(name).read_text(encoding="utf-8")
