"""The cache of ranges: any order of reads gives the file's bytes."""

import io
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from agri_assets.errors import RemoteError
from agri_assets.remote import file as file_module
from agri_assets.remote.answer import Part
from agri_assets.remote.file import Cursor, RangeFile

CONTENT = bytes(index * 7 % 251 for index in range(9001))


class Host:
    """Stands for the client."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.fails = False

    def part(self, url, start, end, sign):
        if self.fails:
            raise RemoteError("the host fails")
        assert 0 <= start < end
        self.asked.append((start, end))
        return Part(CONTENT[start:end], len(CONTENT))


@given(st.lists(st.tuples(st.integers(0, 9500), st.integers(0, 3000)), max_size=60), st.sampled_from([16, 64, 1000]))
def test_any_reads_give_the_bytes_of_the_file(reads, block):
    host = Host()
    with mock.patch.object(file_module, "client", return_value=host), mock.patch.object(file_module, "BLOCK", block):
        file = RangeFile("http://host/x")
        for start, count in reads:
            assert file.read_at(start, count) == CONTENT[start : start + count]
        assert len(file._blocks) <= file_module.KEPT_BLOCKS
    assert len(host.asked) <= len(reads) + 1


def test_a_reader_that_goes_through_asks_for_more_each_time():
    host = Host()
    with mock.patch.object(file_module, "client", return_value=host), mock.patch.object(file_module, "BLOCK", 64):
        cursor = Cursor(RangeFile("http://host/x"))
        pieces = []
        while piece := cursor.read(10):
            pieces.append(piece)
    assert b"".join(pieces) == CONTENT
    # 141 blocks: 1, then 2, 4, 8 and 16 at a time
    assert len(host.asked) == 1 + 3 + -(-(141 - 1 - 14) // 16)


def test_a_cursor_goes_where_it_is_sent_and_keeps_the_failure():
    host = Host()
    with mock.patch.object(file_module, "client", return_value=host), mock.patch.object(file_module, "BLOCK", 64):
        file = RangeFile("http://host/x")
        cursor = Cursor(file)
        assert cursor.seek(-10, io.SEEK_END) == len(CONTENT) - 10
        assert cursor.read() == CONTENT[-10:]
        assert cursor.read(5) == b""
        assert cursor.seek(-4, io.SEEK_CUR) == cursor.tell() == len(CONTENT) - 4
        host.fails = True
        cursor.seek(200)
        assert cursor.read(10) == b""
        assert isinstance(file.failure, RemoteError)
        # what was fetched before is not given out either: GDAL is to fail
        assert Cursor(file).read(5) == b""
