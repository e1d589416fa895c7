"""A remote file as GDAL reads it: by ranges, with a small cache, and with its failures kept."""

import io
from collections import OrderedDict

from agri_assets.errors import RemoteError
from agri_assets.remote.address import without_signature
from agri_assets.remote.client import client

BLOCK = 1 << 16
"""Bytes that are fetched and kept as one."""

KEPT_BLOCKS = 64
"""Blocks kept of one file: its headers, and what was read last; more than two of the longest runs and a read."""

LONGEST_RUN = 16
"""Blocks that are fetched ahead of a reader that goes through a file from start to end."""


class RangeFile:
    """The bytes of a remote file; used by one thread at a time.

    Its first block is fetched at once, so that a file which is not there is an error here and not GDAL's.

    Attributes:
        url: Its address, without signature.
        size: Its bytes.
        failure: What broke a read by GDAL, which knows no exceptions: whoever reads through GDAL looks here.

    Raises:
        RemoteError: It cannot be had.
    """

    def __init__(self, url: str, sign: str = "") -> None:
        self.url = url
        self.failure: BaseException | None = None
        self._sign = sign
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._next = 1
        self._run = 1
        first = client().part(url, 0, BLOCK, sign)
        self.size = first.total
        self._keep(0, first.content)

    def read_at(self, start: int, count: int) -> bytes:
        """`count` bytes from `start` on; fewer only at the file's end.

        Raises:
            RemoteError: They cannot be had, after all retries, or the file changed meanwhile.
        """
        end = min(start + count, self.size)
        if start >= end:
            return b""
        first, last = start // BLOCK, (end - 1) // BLOCK
        if last - first >= LONGEST_RUN:
            return self._fetch(start, end)
        missing = [number for number in range(first, last + 1) if not self._touch(number)]
        if missing:
            self._fetch_blocks(missing[0], missing[-1] + 1)
        content = b"".join(self._blocks[number] for number in range(first, last + 1))
        return content[start - first * BLOCK : end - first * BLOCK]

    def _fetch_blocks(self, first: int, stop: int) -> None:
        """Fetch blocks in one request, and more of them each time when they continue the last ones."""
        self._run = min(self._run * 2, LONGEST_RUN) if first == self._next else 1
        stop = min(max(stop, first + self._run), -(-self.size // BLOCK))
        content = self._fetch(first * BLOCK, min(stop * BLOCK, self.size))
        self._next = stop
        for number in range(first, stop):
            self._keep(number, content[(number - first) * BLOCK : (number - first + 1) * BLOCK])

    def _touch(self, number: int) -> bool:
        """Whether a block is there; if so, it is now the last one to be dropped."""
        if number in self._blocks:
            self._blocks.move_to_end(number)
        return number in self._blocks

    def _keep(self, number: int, content: bytes) -> None:
        self._blocks[number] = content
        self._blocks.move_to_end(number)
        while len(self._blocks) > KEPT_BLOCKS:
            self._blocks.popitem(last=False)

    def _fetch(self, start: int, end: int) -> bytes:
        part = client().part(self.url, start, end, self._sign)
        if part.total != self.size:
            raise RemoteError(
                f"{without_signature(self.url)}: changed from {self.size} to {part.total} bytes while it was read; "
                "read it again"
            )
        return part.content


class Cursor(io.RawIOBase):
    """One reader's place in a `RangeFile`; reads that fail come back short and leave their error in the file."""

    def __init__(self, file: RangeFile) -> None:
        super().__init__()
        self._file = file
        self._place = 0

    def read(self, count: int = -1) -> bytes:
        """The next bytes; none where they cannot be had."""
        wanted = count if count >= 0 else max(self._file.size - self._place, 0)
        if self._file.failure is not None:
            return b""
        try:
            content = self._file.read_at(self._place, wanted)
        except BaseException as error:
            # an exception, even an interrupt, would be lost between GDAL's frames: it is raised after them
            self._file.failure = error
            return b""
        self._place += len(content)
        return content

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, by `os.SEEK_*`."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._file.size}[whence]
        self._place = max(base + offset, 0)
        return self._place

    def tell(self) -> int:
        """The place of the next byte."""
        return self._place

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True
