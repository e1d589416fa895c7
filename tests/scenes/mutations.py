"""Damage to documents and files, the same for the same seed: what a reader of strangers' products must survive."""

import random
import re
from collections.abc import Callable

NUMBERS = (
    b"0", b"-1", b"1e308", b"1e400", b"-1e9999", b"nan", b"inf", b"0x10", b"1_000", b"1,5", b"", b"--5", b"1.0000001",
    b"99999999999999999999", b"9" * 5000, "\N{SUPERSCRIPT TWO}".encode(), "\N{ARABIC-INDIC DIGIT ONE}".encode(),
    b"10000", b"-1000", b"65536",
)  # fmt: skip
TEXTS = (
    b"", b" ", b"\n\n", b"\x00", b"\xff\xfe", b"../../etc/passwd", b"C:\\x", b"&undefined;", b"&#0;", b"]]>",
    b"<![CDATA[x]]>", b"T99ZZZ", b"_T31TCJ_", b"0001-01-01T00:00:00+23:59", b"9999-12-31T23:59:59-23:59", b"None",
    b"{}", b"\xe2\x80\xae", b"x" * 100_000,
)  # fmt: skip
TEXT = re.compile(rb">([^<>]+)<")
ATTRIBUTE = re.compile(rb'="([^"<>]*)"')
JSON_VALUE = re.compile(rb': *("[^"]*"|-?[\d.eE+-]+|true|false|null)')
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
ELEMENT = re.compile(rb"<([A-Za-z_][\w:.-]*)[^<>]*>[^<>]*</\1>")
TAG = re.compile(rb"</?[A-Za-z_][\w:.-]*")


def mutate(data: bytes, seed: int) -> bytes:
    """One to three pieces of damage to a document or any other file; the same for the same bytes and seed."""
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 3)):
        data = chance.choice(MUTATORS)(data, chance)
    return data


def _flip(data: bytes, chance: random.Random) -> bytes:
    """Some bits are wrong."""
    if not data:
        return data
    damaged = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def _cut(data: bytes, chance: random.Random) -> bytes:
    """The end is missing."""
    return data[: chance.randint(0, len(data))]


def _drop(data: bytes, chance: random.Random) -> bytes:
    """A piece out of the middle is missing."""
    start = chance.randint(0, len(data))
    return data[:start] + data[start + chance.randint(1, 200) :]


def _repeat(data: bytes, chance: random.Random) -> bytes:
    """A piece is there twice."""
    start = chance.randint(0, len(data))
    piece = data[start : start + chance.randint(1, 2000)]
    return data[:start] + piece + data[start:]


def _garble(data: bytes, chance: random.Random) -> bytes:
    """A piece is replaced by anything."""
    start, length = chance.randint(0, len(data)), chance.randint(1, 64)
    return data[:start] + chance.randbytes(length) + data[start + length :]


def _swap_texts(data: bytes, chance: random.Random) -> bytes:
    """Two values change places."""
    found = list(TEXT.finditer(data)) or list(JSON_VALUE.finditer(data))
    if len(found) < 2:
        return data
    one, two = sorted(chance.sample(found, 2), key=lambda match: match.start())
    return b"".join(
        (data[: one.start(1)], two[1], data[one.end(1) : two.start(1)], one[1], data[two.end(1) :])
    )  # fmt: skip


def _replacer(pattern: re.Pattern[bytes], values: tuple[bytes, ...]) -> Callable[[bytes, random.Random], bytes]:
    """One of what the pattern finds (its first group, if any) becomes one of `values`."""

    def replace(data: bytes, chance: random.Random) -> bytes:
        found = list(pattern.finditer(data))
        if not found:
            return data
        match, group = chance.choice(found), min(pattern.groups, 1)
        return data[: match.start(group)] + chance.choice(values) + data[match.end(group) :]

    return replace


def _remove_element(data: bytes, chance: random.Random) -> bytes:
    """An element without children is missing."""
    found = list(ELEMENT.finditer(data))
    if not found:
        return data
    match = chance.choice(found)
    return data[: match.start()] + data[match.end() :]


def _copy_element(data: bytes, chance: random.Random) -> bytes:
    """An element without children is there many times."""
    found = list(ELEMENT.finditer(data))
    if not found:
        return data
    match = chance.choice(found)
    return data[: match.end()] + match[0] * chance.choice((1, 2, 300)) + data[match.end() :]


def _entity(data: bytes, chance: random.Random) -> bytes:
    """The document declares entities."""
    body = data.partition(b"?>")[2] or data
    return b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b"><!ENTITY c SYSTEM "file:///etc/passwd">]>' + body


MUTATORS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip, _cut, _drop, _repeat, _garble, _swap_texts, _remove_element, _copy_element, _entity,
    _replacer(NUMBER, NUMBERS), _replacer(TEXT, NUMBERS), _replacer(TEXT, TEXTS), _replacer(ATTRIBUTE, NUMBERS),
    _replacer(ATTRIBUTE, TEXTS), _replacer(JSON_VALUE, (*NUMBERS, *TEXTS, b"[]", b"{}", b"null", b"true")),
    _replacer(TAG, (b"<x", b"</x", b"<", b"<!--")),
)  # fmt: skip
