"""A few lines to write XML elements with, every value escaped by the standard library."""

import xml.etree.ElementTree as ET

Element = ET.Element


def add(parent: Element, tag: str, text: object | None = None, **attributes: object) -> Element:
    """Append an element; numbers and text are spelled by `str`."""
    child = ET.SubElement(parent, tag, {key: str(value) for key, value in attributes.items()})
    if text is not None:
        child.text = str(text)
    return child


def add_all(parent: Element, values: dict[str, object]) -> None:
    """Append one element per entry, tag to text."""
    for tag, value in values.items():
        add(parent, tag, value)


def document(root: Element) -> bytes:
    """The document as indented UTF-8 bytes."""
    ET.indent(root, "  ")
    text: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return text + b"\n"
