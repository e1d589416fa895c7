"""YAML with line numbers: so that a bad value is named with its file and line, and `${VAR}` expands lazily."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from agri_assets.errors import ConfigError

VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")
"""`${VAR}` or `${VAR:-default}`."""

EXPECTED = {
    "tuple_type": "expected a list",
    "list_type": "expected a list",
    "dict_type": "expected a mapping of keys to values",
    "model_type": "expected a mapping of keys to values",
    "model_attributes_type": "expected a mapping of keys to values",
    "path_type": "expected a path",
    "string_type": "expected text",
}
"""What was expected, by pydantic's type of error, where its own words speak of Python."""

Location = tuple[str | int, ...]


@dataclass(frozen=True)
class Node:
    """A YAML value with the line of every key and item below it."""

    value: Any
    line: int
    lines: Mapping[Location, int] = field(default_factory=dict)

    def line_of(self, location: Location) -> int:
        """The line of `location`, or of its nearest ancestor that stands in the file."""
        for end in range(len(location), 0, -1):
            if location[:end] in self.lines:
                return self.lines[location[:end]]
        return self.line


@dataclass(frozen=True)
class ConfigFile:
    """A parsed `collections.yaml`."""

    path: Path
    collections: Mapping[str, Node]

    @classmethod
    def read(cls, path: Path, name_pattern: re.Pattern[str]) -> "ConfigFile":
        """Parse the file.

        Raises:
            ConfigError: It is missing, is not YAML, has keys other than `collections`, or a bad collection name.
        """
        root = _compose(path)
        if root is None or not isinstance(root, yaml.MappingNode):
            raise ConfigError(f"{path}:1: expected a mapping with the key `collections`")
        found: dict[str, Node] = {}
        for key, value in root.value:
            line = key.start_mark.line + 1
            if key.value != "collections" and not key.value.startswith("x-"):
                raise ConfigError(f"{path}:{line}: unknown key {key.value!r}; expected `collections`")
            if key.value == "collections":
                found = _collections(path, value, name_pattern)
        if not found:
            raise ConfigError(f"{path}:1: declares no collections; expected a mapping under `collections`")
        return cls(path, found)

    def explain(self, node: Node, error: ValidationError, within: Location = ()) -> str:
        """The first problem of a validation error as one line with file, line and what was expected.

        Args:
            node: The collection.
            error: What pydantic found.
            within: Where in the collection the validated values stand.
        """
        problems = error.errors(include_url=False)
        # a misspelt key is both unknown and missing: what stands there helps more than what does not
        first = next((problem for problem in problems if problem["type"] == "extra_forbidden"), problems[0])
        named = first["type"] in ("extra_forbidden", "missing")
        # pydantic adds the tag of a discriminated union to the location; the file has no such key
        inner = tuple(part for part in first["loc"] if _stands_in(part, first["loc"], node, named))
        location = (*within, *inner)
        where = ".".join(str(part) for part in location) or "collection"
        return f"{self.path}:{node.line_of(location)}: {_problem(where, dict(first))}"


def _problem(where: str, first: dict[str, Any]) -> str:
    """What is wrong about a value, in words of this file rather than of Python."""
    kind, value, context = first["type"], first.get("input"), first.get("ctx") or {}
    if kind == "extra_forbidden":
        return f"unknown key {where!r}; remove it or check its spelling"
    if kind == "missing":
        return f"{where}: is missing"
    if kind == "union_tag_not_found":
        return f"{where}: needs a key `kind` that says which kind it is"
    if kind == "union_tag_invalid":
        return (
            f"{where}: kind {context.get('tag')!r} is none of {str(context.get('expected_tags')).replace(chr(39), '')}"
        )
    shown = f", got {value!r}" if isinstance(value, str | int | float | bool) and kind != "value_error" else ""
    words = EXPECTED.get(kind) or first["msg"].removeprefix("Value error, ")
    return f"{where}: {words}{shown}"


def expand_text(text: str, environment: Mapping[str, str]) -> str | None:
    """The text with its variables replaced; None where one without a default is unset or empty."""
    found = [environment.get(match["name"]) or match["default"] for match in VARIABLE.finditer(text)]
    if None in found:
        return None
    replacements = iter(found)
    return VARIABLE.sub(lambda _: next(replacements) or "", text)


def expand(node: Node, environment: Mapping[str, str], path: Path) -> dict[str, Any]:
    """Replace `${VAR}` and `${VAR:-default}` in every string below `node`.

    A key whose whole value is a variable that turns out empty counts as not said.

    Raises:
        ConfigError: A variable without a default is unset or empty.
    """

    def replace(text: str, location: Location) -> str:
        expanded = expand_text(text, environment)
        if expanded is None:
            names = (match["name"] for match in VARIABLE.finditer(text) if match["default"] is None)
            name = next(name for name in names if not environment.get(name))
            raise ConfigError(
                f"{path}:{node.line_of(location)}: {name} is not set; export {name}=... or give it a default, "
                f"${{{name}:-...}}"
            )
        return expanded

    def walk(value: Any, location: Location) -> Any:
        if isinstance(value, str):
            return replace(value, location)
        if isinstance(value, dict):
            walked = {key: walk(item, (*location, key)) for key, item in value.items()}
            return {key: item for key, item in walked.items() if item != "" or not _is_variable(value[key])}
        if isinstance(value, list):
            return [walk(item, (*location, index)) for index, item in enumerate(value)]
        return value

    result = walk(node.value, ())
    if not isinstance(result, dict):
        raise ConfigError(f"{path}:{node.line}: expected a mapping of settings, got {result!r}")
    return result


def _is_variable(value: object) -> bool:
    return isinstance(value, str) and VARIABLE.fullmatch(value.strip()) is not None


def _compose(path: Path) -> yaml.Node | None:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; set AGRI_COLLECTIONS to your collections.yaml") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}:{line}: not valid YAML: {error.problem}") from None


def _collections(path: Path, node: yaml.Node, name_pattern: re.Pattern[str]) -> dict[str, Node]:
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{path}:{node.start_mark.line + 1}: `collections` must be a mapping of names to settings")
    found: dict[str, Node] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not name_pattern.match(str(key.value)):
            raise ConfigError(f"{path}:{line}: bad collection name {key.value!r}; use a-z, 0-9 and _, a letter first")
        if key.value in found:
            raise ConfigError(f"{path}:{line}: collection {key.value!r} is declared twice")
        lines: dict[Location, int] = {}
        _collect_lines(path, value, (), lines)
        found[key.value] = Node(_construct(path, value), line, lines)
    return found


def _construct(path: Path, node: yaml.Node) -> Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{path}:{node.start_mark.line + 1}: {error.problem}") from None
    finally:
        loader.dispose()


def _collect_lines(path: Path, node: yaml.Node, location: Location, lines: dict[Location, int]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place, line = (*location, key.value), key.start_mark.line + 1
            if place in lines:
                raise ConfigError(f"{path}:{line}: key {key.value!r} stands twice, first on line {lines[place]}")
            # a key laid over by `<<` keeps the line of its own place, which is where it has to be mended
            lines[place] = line
            _collect_lines(path, value, place, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*location, index)] = item.start_mark.line + 1
            _collect_lines(path, item, (*location, index), lines)


def _stands_in(part: str | int, location: Location, node: Node, last: bool) -> bool:
    """Whether a part of a pydantic location is a key or index of the file; or, with `last`, what is wrong about it."""
    return (last and part == location[-1]) or any(part in known for known in node.lines)
