"""Reading metadata XML from strangers: bounded in size, without entities, every fault one line."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException, ElementTree

from agri_assets.errors import SceneError

SIZE_LIMIT = 32 * 2**20
"""Largest metadata file read, in bytes; real ones are below 1 MiB."""


def read_xml(path: Path) -> Element:
    """Parse a metadata file.

    Raises:
        SceneError: It is missing, too large, not well-formed, or declares entities.
    """
    try:
        size = path.stat().st_size
        if size > SIZE_LIMIT:
            raise SceneError(f"{path}: {size} bytes of metadata, more than the {SIZE_LIMIT} allowed; not read")
        root = ElementTree.parse(path, forbid_dtd=True).getroot()
    except (OSError, ValueError, LookupError, ParseError, DefusedXmlException) as error:
        raise SceneError(f"{path}: metadata cannot be read ({_one_line(error)}); download the product again") from None
    if root is None:
        raise SceneError(f"{path}: holds no element; download the product again")
    return root


def elements(root: Element, tag: str) -> Iterator[Element]:
    """Every descendant with this local name, whatever its namespace (it changed with the metadata's version)."""
    return (node for node in root.iter() if isinstance(node.tag, str) and node.tag.rpartition("}")[2] == tag)


def text(root: Element, tag: str, path: Path) -> str:
    """The text of the first descendant named `tag`.

    Raises:
        SceneError: There is none, or it is empty.
    """
    found = optional_text(root, tag)
    if found is None:
        raise SceneError(f"{path}: no {tag}; the metadata are incomplete, download the product again")
    return found


def optional_text(root: Element, tag: str) -> str | None:
    """The stripped text of the first descendant named `tag`; None where it is absent or empty."""
    node = next(elements(root, tag), None)
    return (node.text or "").strip() or None if node is not None else None


def number(value: str, what: str, path: Path) -> float:
    """A finite number.

    Raises:
        SceneError: `value` is none.
    """
    try:
        found = float(value)
    except ValueError:
        found = float("nan")
    if not abs(found) < float("inf"):
        raise SceneError(f"{path}: {what} is {value!r}, expected a number; download the product again")
    return found


def _one_line(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split())
