"""Walking a static STAC catalogue on disk to its items."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from agri_assets.errors import SceneError
from agri_assets.scenes.stac_document import is_item, read_json_document


def find_items(start: Path) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """The item files reachable from a catalogue, a collection, an item, or a folder, in order of path.

    Args:
        start: A JSON file; or a folder, whose `catalog.json` is walked, or, without one, all JSON files below it.

    Returns:
        The items, and one line for each document that could not be followed or read.
    """
    if start.is_dir() and not (start / "catalog.json").exists():
        return _items_among(sorted(path for path in start.rglob("*.json") if path.is_file()))
    pending = [(start / "catalog.json" if start.is_dir() else start).resolve()]
    items: set[Path] = set()
    seen: set[Path] = set()
    problems: list[str] = []
    while pending:
        path = pending.pop()
        if path in seen:
            continue
        seen.add(path)
        try:
            document = read_json_document(path)
        except SceneError as error:
            problems.append(str(error))
            continue
        if is_item(document):
            items.add(path)
        links = document.get("links")
        for link in links if isinstance(links, list) else ():
            if isinstance(link, Mapping) and link.get("rel") in ("child", "item"):
                _follow(str(link.get("href", "")), path, pending, problems)
    return tuple(sorted(items)), tuple(problems)


def _follow(href: str, document: Path, pending: list[Path], problems: list[str]) -> None:
    try:
        parts = urlsplit(href)
        target = (document.parent / unquote(parts.path)).resolve()
    except ValueError as error:
        problems.append(f"{document}: link {href!r} cannot be followed ({error})")
        return
    if parts.scheme not in ("", "file"):
        problems.append(f"{document}: link {href} is remote; a static catalogue is read from disk only")
        return
    pending.append(target)


def _items_among(paths: list[Path]) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    items: list[Path] = []
    problems: list[str] = []
    for path in paths:
        try:
            if is_item(read_json_document(path)):
                items.append(path)
        except SceneError as error:
            problems.append(str(error))
    return tuple(items), tuple(problems)
