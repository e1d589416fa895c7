"""What hosts answer: a verified part of a file, or why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from agri_assets.errors import RemoteError
from agri_assets.remote.address import without_signature

RETRIED = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses that the same request may not meet again a little later."""

GONE = (404, 410)
NOT_ALLOWED = (401, 403)

ADVICE = {
    400: "the host does not understand the request; check the address",
    401: "access is refused; check the credentials and how the source is signed",
    403: "access is refused, also with a new signature where there is one; check the credentials and `sign`",
    404: "it is not there; check the address, or leave out what names it",
    410: "it is not there any more; check the address, or leave out what names it",
    416: "it is shorter than it should be; fetch it again from another source",
    429: "the host is asked too often, also after waiting; try again later, or with fewer runs at once",
}
"""What to do about a status."""


@dataclass(frozen=True)
class Answer:
    """One HTTP answer.

    Attributes:
        status: The HTTP status.
        headers: The HTTP headers, found in any case.
        content: The body; None where it is larger than was allowed and was therefore not read.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = b""


@dataclass(frozen=True)
class Part:
    """A run of a file's bytes, exactly as asked for (shorter only at the file's end).

    Attributes:
        content: The bytes.
        total: Size of the whole file in bytes.
        tag: What identifies this state of the file at its host (ETag, or time of its last change); empty if unknown.
    """

    content: bytes
    total: int
    tag: str = ""


def part_of(url: str, answer: Answer, start: int, end: int) -> Part:
    """The part `[start, end)` out of an answer, after looking whether it is that.

    Raises:
        RemoteError: The host refused, or answered with something else.
    """
    tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
    span = answer.headers.get("Content-Range", "").removeprefix("bytes").strip()
    if answer.status == 416 and span == "*/0":
        return Part(b"", 0, tag)
    content = whole(url, answer)
    if answer.status != 206:
        # a host that does not know ranges sends everything: right, if it is small enough
        return Part(content[start:end], len(content), tag)
    sent, _, total = span.partition("/")
    if (
        not total.isdigit()
        or sent != f"{start}-{min(end, int(total)) - 1}"
        or len(content) != min(end, int(total)) - start
    ):
        asked = f"bytes {start}-{end - 1} were asked for, {len(content)} bytes came as '{span[:60]}'"
        raise RemoteError(
            f"{without_signature(url)}: {asked}; the host does not serve ranges rightly, download it", False
        )
    return Part(content, int(total), tag)


def whole(url: str, answer: Answer) -> bytes:
    """The body of an answer that is no refusal.

    Raises:
        RemoteError: It is one, or the body is larger than was allowed.
    """
    if answer.status not in (200, 206):
        raise refused(url, answer.status)
    if answer.content is None:
        raise RemoteError(
            f"{without_signature(url)}: the host answers with more than was asked for; "
            "it does not serve ranges, copy the file to a disk by hand and read it there",
            transient=False,
        )
    return answer.content


def refused(url: str, status: int) -> RemoteError:
    """The error for a refusing status."""
    transient = status in RETRIED or status >= 500
    advice = ADVICE.get(
        status, "the host fails, also after all retries; try again later" if transient else "check the address"
    )
    return RemoteError(f"{without_signature(url)}: {urlsplit(url).hostname} answered {status}: {advice}", transient)


def unreachable(url: str, why: str, transient: bool = True) -> RemoteError:
    """The error for a host that gives no answer, or none that is whole."""
    shown = without_signature(url)
    advice = "try again later" if transient else "check the address and the certificates of this machine"
    return RemoteError(
        f"{shown}: no whole answer from {urlsplit(url).hostname} ({why}) after all retries; {advice}", transient
    )
