"""Reading metadata XML from strangers: bounded in size, without entities, every fault one line."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException, ElementTree

from agri_assets.errors import SceneError

SIZE_LIMIT = 8 * 2**20
"""Largest metadata file read, in bytes; real ones are below 1 MiB, and a parsed tree takes some 45 times its text."""

NUMBER = re.compile(r"[+-]?(\d{1,20}(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?", re.ASCII)
"""A decimal number as XML Schema writes it; Python itself would also take `1_0`, other scripts' digits and `nan`."""


@dataclass(frozen=True)
class Document:
    """A parsed metadata file.

    Elements are found by local name, whatever their namespace, since that changed with the metadata's version.

    Attributes:
        root: The outermost element.
        where: The file, for messages.
    """

    root: Element
    where: str

    def elements(self, *tags: str) -> Iterator[Element]:
        """Every element of one of these names."""
        return descendants(self.root, *tags)

    def text(self, tag: str) -> str:
        """The text of the first element named `tag`.

        Raises:
            SceneError: There is none, or it is empty.
        """
        found = self.optional(tag)
        if found is None:
            raise SceneError(f"{self.where}: no {tag}; the metadata are incomplete, download the product again")
        return found

    def optional(self, *tags: str) -> str | None:
        """The stripped text of the first element that bears the first of these names and holds any."""
        texts = ((node.text or "").strip() for tag in tags for node in self.elements(tag))
        return next((text for text in texts if text), None)

    def number(self, value: str, what: str) -> float:
        """A finite number.

        Raises:
            SceneError: `value` is none.
        """
        if not NUMBER.fullmatch(value.strip()):
            raise SceneError(f"{self.where}: {what} is {value[:80]!r}, expected a number; download the product again")
        return float(value)

    def whole(self, value: str, what: str) -> int:
        """A whole number; `10000.0` is one.

        Raises:
            SceneError: `value` is none.
        """
        found = self.number(value, what)
        if not found.is_integer():
            raise SceneError(f"{self.where}: {what} is {value[:80]!r}, expected a whole number; not usable")
        return int(found)


def descendants(root: Element, *tags: str) -> Iterator[Element]:
    """Every element at or below `root` with one of these local names, in document order."""
    return (node for node in root.iter() if isinstance(node.tag, str) and node.tag.rpartition("}")[2] in tags)


def parse_xml(content: bytes, where: str) -> Document:
    """Parse a metadata file's bytes.

    Raises:
        SceneError: They are not well-formed, or declare entities.
    """
    try:
        root = ElementTree.fromstring(content, forbid_dtd=True)
    # besides its own errors the parser raises these on unknown and on wrong encodings
    except (ValueError, LookupError, ParseError, DefusedXmlException) as error:
        reason = " ".join((str(error) or type(error).__name__).split())
        raise SceneError(f"{where}: metadata cannot be read ({reason}); download the product again") from None
    return Document(root, where)
