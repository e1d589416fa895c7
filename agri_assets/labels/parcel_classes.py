"""What the values of a parcel's attribute mean: agricultural, other, or ignored; and the code each class gets."""

import colorsys
import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from agri_assets.errors import LabelError
from agri_assets.labels.legend import Legend
from agri_assets.labels.settings import ParcelLabels
from agri_assets.labels.worldcover import NODATA, Colour

AGRICULTURAL, OTHER, IGNORE = "agricultural", "other", "ignore"
SIDES = (AGRICULTURAL, OTHER, IGNORE)

OUTSIDE = 254
"""The code of ground outside all parcels, where that counts as other."""

MOST_CLASSES = OUTSIDE - 1
"""Classes that a tile can tell apart by name; where there are more, only the two sides are kept."""

SHOWN = 5
"""How many unmapped values an error names."""


@dataclass(frozen=True)
class ParcelClasses:
    """The classes of one tile's parcels.

    Attributes:
        legend: Names, agricultural codes and colours.
        codes: Code of each value; `NODATA` for ignored ones. Where parcels overlap, the higher code counts.
    """

    legend: Legend
    codes: Mapping[str, int]


def read_mapping(path: Path) -> dict[str, str]:
    """The side of each value, from a YAML or JSON mapping, or a CSV file with the columns `value` and `class`.

    Values are compared as text without blanks around them: `0311` stays `0311`, and YAML's `NO` stays `NO`.

    Raises:
        LabelError: The file is missing, is no such mapping, gives a value twice, or names another class.
    """
    found: dict[str, str] = {}
    for value, side in ((value.strip(), side.strip()) for value, side in _pairs(path)):
        if side not in SIDES:
            raise LabelError(f"{path}: {value!r} is mapped to {side!r}; expected one of {', '.join(SIDES)}")
        if value in found:
            raise LabelError(f"{path}: maps {value!r} twice; keep one")
        found[value] = side
    if not found:
        raise LabelError(f"{path}: maps nothing; give it values of the attribute and their classes")
    return found


def sides_of(labels: ParcelLabels, values: Iterable[str]) -> dict[str, str]:
    """The side of every value that occurs.

    Raises:
        LabelError: Some are not mapped, and the collection refuses that.
    """
    occurring = sorted(set(values))
    if labels.mapping is None:
        return dict.fromkeys(occurring, AGRICULTURAL)
    mapping = read_mapping(labels.mapping)
    unmapped = [value for value in occurring if value not in mapping]
    if unmapped and labels.unmapped == "refuse":
        shown = ", ".join(repr(value) for value in unmapped[:SHOWN])
        raise LabelError(
            f"{labels.mapping}: does not map {len(unmapped)} values of {labels.attribute} that occur ({shown}"
            f"{', ...' if len(unmapped) > SHOWN else ''}); add them, or say unmapped: ignore or other"
        )
    return {value: mapping.get(value, labels.unmapped) for value in occurring}


def code_classes(labels: ParcelLabels, sides: Mapping[str, str]) -> ParcelClasses:
    """A code for each value, the agricultural ones highest, each side in order of name.

    Args:
        labels: The collection's.
        sides: The side of each value that occurs; ignored ones get no class.
    """
    names = {value: value or "no value" for value in sides}
    if labels.attribute is None or sum(side != IGNORE for side in sides.values()) > MOST_CLASSES:
        names = dict(sides)
    order = sorted({(side == AGRICULTURAL, names[value]) for value, side in sides.items() if side != IGNORE})
    numbered = {entry: code for code, entry in enumerate(order, start=1)}
    agricultural = tuple(code for (crops, _), code in numbered.items() if crops)
    classes = {code: name for (_, name), code in numbered.items()}
    if labels.outside == OTHER:
        classes[OUTSIDE] = "outside parcels"
    colours = {code: _colour(code, len(order), code in agricultural) for code in classes}
    codes = {
        value: NODATA if side == IGNORE else numbered[side == AGRICULTURAL, names[value]]
        for value, side in sides.items()
    }
    return ParcelClasses(Legend(kind="parcels", names=classes, agricultural=agricultural, colours=colours), codes)


def _colour(code: int, classes: int, agricultural: bool) -> Colour:
    """Bright hues for crops, greys for the rest."""
    if code == OUTSIDE:
        return (64, 64, 64)
    place = code / (classes + 1)
    rgb = colorsys.hsv_to_rgb(place, 0.75, 0.95) if agricultural else (0.4 + 0.45 * place,) * 3
    red, green, blue = (round(255 * part) for part in rgb)
    return red, green, blue


def _pairs(path: Path) -> list[tuple[str, str]]:
    """Values and classes as they stand in the file, repetitions included."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        match path.suffix.lower():
            case ".csv":
                return _csv_pairs(text)
            case ".json":
                return _json_pairs(text)
            case ".yaml" | ".yml":
                return _yaml_pairs(text)
    except (OSError, ValueError, TypeError, KeyError, RecursionError, csv.Error, yaml.YAMLError) as error:
        message = " ".join(str(error).split())
        raise LabelError(f"{path}: no mapping from values to classes can be read from it ({message})") from None
    raise LabelError(f"{path}: unknown kind of mapping; expected .yaml, .json or .csv")


class _Pairs(list[Any]):
    """A JSON object with its repetitions."""


def _csv_pairs(text: str) -> list[tuple[str, str]]:
    rows = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    if not {"value", "class"} <= set(rows.fieldnames or ()):
        raise ValueError("a CSV mapping has the columns `value` and `class`")
    return [(row["value"] or "", row["class"] or "") for row in rows]


def _json_pairs(text: str) -> list[tuple[str, str]]:
    pairs = json.loads(text, object_pairs_hook=_Pairs)
    if not isinstance(pairs, _Pairs):
        raise ValueError('expected an object such as {"311": "agricultural"}')
    for value, side in pairs:
        if not isinstance(side, str):
            raise ValueError(f"{value!r} is mapped to no text such as {AGRICULTURAL}")
    return pairs


def _yaml_pairs(text: str) -> list[tuple[str, str]]:
    node = yaml.compose(text, Loader=yaml.BaseLoader)
    if not isinstance(node, yaml.MappingNode):
        raise ValueError("expected lines such as `311: agricultural`")
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or not isinstance(value, yaml.ScalarNode):
            raise ValueError(f"in line {key.start_mark.line + 1} a value is mapped to no text such as {AGRICULTURAL}")
    return [(key.value, value.value) for key, value in node.value]
